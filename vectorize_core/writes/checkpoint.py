"""Resuming a write that ended early: which records of its input are written already.

``resume=`` is a `PartialWriteError`, or the path of a file that is kept up to date during a write:
one line of JSON for the whole, then one for each accepted request, with the position of its first
record and a digest of each record (of its id; of its content if the id is generated). Generated ids
derive from the file's seed and the position, so that a record whose request was not answered is
sent again under the same id. A line that a crash cut off does not count. The file is removed once
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
    """No checkpoint: no record is written yet, and none is noted.

    ``written`` and ``ids`` are those of the error that a write resumes, for the next error.
    """

    written: Sequence[int] = ()
    ids: tuple[str, ...] = ()

    def id_for(self, position: int, generated: str) -> str:
        """The id of a record without one: ``generated``, or that of an earlier attempt."""
        return generated

    def digest(self, content: str | bytes) -> int:
        """A number by which the checkpoint recognises ``content``."""
        return 0

    def holds(self, position: int, record_id: str, digest: int) -> bool:
        """Whether the record at ``position`` is written.

        Raises `InvalidInputError` if the checkpoint was written for another input.
        """
        return False

    async def begin(self, io: Io) -> None:
        """Note that the write begins."""

    async def note(self, io: Io, entries: Sequence[Entry]) -> None:
        """Note that ``entries`` are written."""

    async def finish(self, io: Io) -> None:
        """Note that everything is written."""


class _Error(Checkpoint):
    def __init__(self, error: PartialWriteError) -> None:
        self.written = error.written
        self.ids = error.ids

    def id_for(self, position: int, generated: str) -> str:
        return self.ids[position] if position < len(self.ids) else generated

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
        # By position, 0 for records not written. An array, since input may be long.
        self._digests = array("Q")
        self._end = 0
        self._load()

    def id_for(self, position: int, generated: str) -> str:
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
                "the same order, or delete the file to start again"
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
            # Overwrites a line that a crash cut off.
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
            f"{self._path} is not a checkpoint of a write; give resume= the path of a new file"
        )


async def open_checkpoint(io: Io, resume: Resume | None, index: str) -> Checkpoint:
    """The checkpoint that ``resume=`` names; its file is created when the write begins."""
    if resume is None:
        return Checkpoint()
    if isinstance(resume, PartialWriteError):
        return _Error(resume)
    path = Path(resume)
    return await io.offload(lambda: _File(path, index))
