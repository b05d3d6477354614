"""Going on with a write that ended early: what of its input is in already.

``resume=`` is a `PartialWriteError`, or the path of a file that is written along with the data:
one line of JSON for the whole, then one for each accepted request, with the position of its first
record and a digest of each (of its id, or of what it holds where the id is made up here). Ids are
made up out of the file's seed and the position, so that what was sent and never answered is sent
again under the same. A line that was cut off by a crash does not count. The file is removed once
everything is written.
"""

from __future__ import annotations

import os
import uuid
from array import array
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

import orjson

from vectorize_core.errors import InvalidInputError, PartialWriteError
from vectorize_core.transport.io import Io
from vectorize_core.writes.batching import Entry
from vectorize_core.writes.ranges import runs

Resume = str | os.PathLike[str] | PartialWriteError
_VERSION = 1


class Checkpoint:
    """Nothing is in yet, and nothing is noted.

    ``written`` and ``ids`` are what an earlier error knew: the next one is not to forget it.
    """

    written: Sequence[int] = ()
    ids: tuple[str, ...] = ()

    def id_for(self, position: int, made_up: str) -> str:
        """The id of a record without one: ``made_up``, or what an earlier attempt gave it."""
        return made_up

    def digest(self, content: str | bytes) -> int:
        """What ``content`` is recognised by."""
        return 0

    def holds(self, position: int, record_id: str, digest: int) -> bool:
        """Whether the record at ``position`` is in.

        Raises `InvalidInputError` if the checkpoint was written for another input.
        """
        return False

    async def begin(self, io: Io) -> None:
        """The write begins."""

    async def note(self, io: Io, entries: Sequence[Entry]) -> None:
        """``entries`` are in."""

    async def finish(self, io: Io) -> None:
        """Everything is."""


class _Error(Checkpoint):
    def __init__(self, error: PartialWriteError) -> None:
        self.written = error.written
        self.ids = error.ids

    def id_for(self, position: int, made_up: str) -> str:
        return self.ids[position] if position < len(self.ids) else made_up

    def holds(self, position: int, record_id: str, digest: int) -> bool:
        if position not in self.written:
            return False
        if self.ids and self.ids[position] != record_id:
            raise InvalidInputError(
                f"resume= is the error of another input: its record {position} is "
                f"{self.ids[position]!r}, here it is {record_id!r}"
            )
        return True


class _File(Checkpoint):
    def __init__(self, path: Path, index: str) -> None:
        self._path = path
        self._index = index
        self._seed = uuid.uuid4()
        # Zero for what is not in. An array, since input may be long.
        self._digests = array("Q")
        self._end = 0
        self._load()

    def id_for(self, position: int, made_up: str) -> str:
        return str(uuid.uuid5(self._seed, str(position)))

    def digest(self, content: str | bytes) -> int:
        raw = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
        return int.from_bytes(blake2b(raw, digest_size=8).digest(), "big") | 1

    def holds(self, position: int, record_id: str, digest: int) -> bool:
        known = self._digests[position] if position < len(self._digests) else 0
        if known not in (0, digest):
            raise InvalidInputError(
                f"the checkpoint {self._path} was written for another input: its record "
                f"{position} is not the one given now ({record_id!r}). Give the same input in "
                "the same order, or delete the file to begin anew"
            )
        return known == digest

    async def begin(self, io: Io) -> None:
        if not self._end:
            header = {"vectorize_checkpoint": _VERSION, "index": self._index}
            await self._append(io, [{**header, "seed": self._seed.hex}])

    async def note(self, io: Io, entries: Sequence[Entry]) -> None:
        digests = {entry.position: entry.digest for entry in entries}
        lines = [
            {"at": run.start, "digests": [digests[position] for position in run]}
            for run in runs(sorted(digests))
        ]
        await self._append(io, lines)

    async def finish(self, io: Io) -> None:
        await io.offload(lambda: self._path.unlink(missing_ok=True))

    async def _append(self, io: Io, lines: Sequence[Mapping[str, object]]) -> None:
        if lines:
            content = b"".join(orjson.dumps(line) + b"\n" for line in lines)
            await io.offload(lambda: self._write(content))

    def _write(self, content: bytes) -> None:
        with self._path.open("r+b" if self._end else "wb") as file:
            # Over what a crash cut off, if anything.
            file.seek(self._end)
            file.write(content)
            self._end = file.tell()
            file.truncate()

    def _load(self) -> None:
        if not self._path.parent.is_dir():
            raise InvalidInputError(f"resume={str(self._path)!r}: there is no such directory")
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            for number, line in enumerate(file):
                if not line.endswith(b"\n"):
                    break
                try:
                    noted = orjson.loads(line)
                    if number:
                        self._restore(noted["at"], noted["digests"])
                    else:
                        self._check_header(noted["vectorize_checkpoint"], noted["index"])
                        self._seed = uuid.UUID(noted["seed"])
                except InvalidInputError:
                    raise
                except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
                    raise self._no_checkpoint() from error
                self._end += len(line)
            if not self._end and file.seek(0, os.SEEK_END):
                raise self._no_checkpoint()

    def _check_header(self, version: int, index: str) -> None:
        if (version, index) != (_VERSION, self._index):
            raise InvalidInputError(
                f"{self._path} is a checkpoint (version {version}) of the index {index!r}, "
                f"not one of {self._index!r}"
            )

    def _restore(self, at: int, digests: list[int]) -> None:
        stop = at + len(digests)
        if stop > len(self._digests):
            self._digests.extend([0] * (stop - len(self._digests)))
        self._digests[at:stop] = array("Q", digests)

    def _no_checkpoint(self) -> InvalidInputError:
        return InvalidInputError(
            f"{self._path} is not a checkpoint of a write; give resume= a path of its own"
        )


async def open_checkpoint(io: Io, resume: Resume | None, index: str) -> Checkpoint:
    """The checkpoint that ``resume=`` names; its file is made when the write begins."""
    if resume is None:
        return Checkpoint()
    if isinstance(resume, PartialWriteError):
        return _Error(resume)
    path = Path(resume)
    return await io.offload(lambda: _File(path, index))
