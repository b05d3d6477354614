"""Resuming a write that ended early: which records of its input are written already.

``resume=`` is a `PartialWriteError`, or the path of a file that is kept up to date during a write:
one line of JSON for the whole, then one for each accepted request, with the position of its first
record and a digest of the contents of each; the first of these tells which index it is. Generated
ids derive from the file's seed and the position, so that a record whose request was not answered is
sent again under the same id. A line that a crash cut off does not count. The file is removed once
everything is written.

Both belong to one index, of one place and creation, and to the contents of the records. What does
not match is refused before anything is embedded or sent.
"""

from __future__ import annotations

import os
import uuid
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import astuple, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import orjson

from vectorize_core import jsontext, paths
from vectorize_core.errors import (
    CheckpointMismatchError,
    IndexNotFoundError,
    InvalidInputError,
    PartialWriteError,
    VectorizeError,
)
from vectorize_core.models import IndexDetails, Values
from vectorize_core.state.index_state import IndexState, find_details, get_details
from vectorize_core.transport.io import Io
from vectorize_core.writes.batching import Entry
from vectorize_core.writes.ranges import runs

Resume = str | os.PathLike[str] | PartialWriteError
_VERSION: Final = 3


def digest_of(
    record_id: str | None,
    namespace: str | None,
    metadata: Mapping[str, Any] | None,
    values: Values | None,
    ref: str | None = None,
) -> int:
    """A number by which a checkpoint recognises a record: its contents, and its id if given."""
    said = [record_id, namespace, ref, metadata]
    digest = blake2b(jsontext.dumps_sorted(said), digest_size=8)
    if values is not None:
        digest.update(values.tobytes())
    # 0 stands for a record that is not written.
    return int.from_bytes(digest.digest(), "big") | 1


@dataclass(frozen=True)
class _Identity:
    """One creation of an index, in words that JSON can say."""

    created_on: str | None
    dimensions: int
    metric: str

    @classmethod
    def of(cls, details: IndexDetails) -> _Identity:
        created_on = None if details.created_on is None else details.created_on.isoformat()
        return cls(created_on, details.config.dimensions, details.config.metric)

    def __str__(self) -> str:
        when = self.created_on or "an unknown day"
        return f"created on {when}, {self.dimensions} dimensions, {self.metric}"


@dataclass(frozen=True)
class Progress:
    """What a write leaves in its `PartialWriteError`, for the next one."""

    index: str
    place: str
    identity: _Identity | None
    digests: array[int]


class Checkpoint:
    """No checkpoint: no record was written before.

    ``written`` and ``ids`` are those of the error that a write resumes, for the next error. Where
    it ``resumes`` a write, it has to be asked what it `holds`.
    """

    resumes = False
    written: Sequence[int] = ()
    ids: tuple[str, ...] = ()

    def __init__(self, state: IndexState) -> None:
        self._state = state
        # By position, 0 for records not written. An array, since input may be long.
        self._digests = array("Q")
        # Of the index that the first of them was written to: it may be another one by now.
        self._identity: _Identity | None = None
        self._has_written = False

    def progress(self, written: Iterable[range], digest: Callable[[int], int]) -> Progress:
        """What is written so far: before, and ``written`` now, with the digest at a position."""
        for run in written:
            self._restore(run.start, list(map(digest, run)))
        return Progress(self._state.name, self._state.place, self._identity, self._digests)

    def id_for(self, position: int, generated: str) -> str:
        """The id of a record without one: ``generated``, or that of an earlier attempt."""
        return generated

    def holds(self, position: int, record_id: str, digest: int) -> bool:
        """Whether the record at ``position`` is written.

        Raises `CheckpointMismatchError` if the checkpoint was written for another input.
        """
        return False

    async def begin(self, io: Io) -> None:
        """Note that the write begins."""

    async def note(self, io: Io, entries: Sequence[Entry], digest: Callable[[int], int]) -> None:
        """Note that ``entries`` are written, with the ``digest`` at a position."""
        self._has_written = self._has_written or bool(entries)
        if self._identity is None and self._state.details is not None:
            self._identity = _Identity.of(self._state.details)

    async def fail(self, io: Io) -> None:
        """Note which index was written to, if that is not known, before an error tells of it."""
        if self._identity is None and (self._has_written or any(self._digests)):
            with suppress(VectorizeError):
                self._identity = _Identity.of(await get_details(io, self._state))

    async def finish(self, io: Io) -> None:
        """Note that everything is written."""

    def _restore(self, at: int, digests: Sequence[int]) -> None:
        stop = at + len(digests)
        if stop > len(self._digests):
            self._digests.extend([0] * (stop - len(self._digests)))
        self._digests[at:stop] = array("Q", digests)

    def _known(self, position: int) -> int:
        return self._digests[position] if position < len(self._digests) else 0

    async def _check_index(
        self, io: Io, name: str, before: tuple[str, str, _Identity | None], again: str
    ) -> None:
        """Raise `CheckpointMismatchError` unless the index is the one that was written to."""
        index, place, identity = before
        state = self._state
        if index != state.name:
            raise CheckpointMismatchError(
                f"{name} of a write of the index {index!r}, not one of {state.name!r}; {again}"
            )
        if place != state.place:
            raise CheckpointMismatchError(
                f"{name} of a write in {place or 'another client'}, not in {state.place}; {again}"
            )
        if identity is None or not any(self._digests):
            return
        details = await find_details(io, state, refresh=True)
        now = None if details is None else _Identity.of(details)
        if now != identity:
            found = "is not there any more" if now is None else f"was {now}"
            raise CheckpointMismatchError(
                f"{name} of a write to another index {index!r} ({identity}): the one of that "
                f"name {found}, so what was written is not in it; {again}"
            )


class _Error(Checkpoint):
    """What the `PartialWriteError` of an earlier write says."""

    resumes = True

    def __init__(self, error: PartialWriteError, state: IndexState) -> None:
        super().__init__(state)
        self.written = error.written
        self.ids = error.ids
        self._before = error.progress if isinstance(error.progress, Progress) else None
        self._lost = any(isinstance(cause, IndexNotFoundError) for cause in error.causes)
        if self._before is not None:
            self._digests = array("Q", self._before.digests)
            self._identity = self._before.identity

    async def check(self, io: Io) -> None:
        """Raise `CheckpointMismatchError` if the error is of a write to another index."""
        if self._before is not None and self.written:
            again = "to write all of the input here, leave out resume="
            if self._lost and self._identity is None:
                raise CheckpointMismatchError(
                    f"resume= is the error of a write during which the index {self._before.index!r}"
                    f" was deleted, so what was written is gone; {again}"
                )
            before = self._before.index, self._before.place, self._before.identity
            await self._check_index(io, "resume= is the error", before, again)

    def id_for(self, position: int, generated: str) -> str:
        return self.ids[position] if position < len(self.ids) else generated

    def holds(self, position: int, record_id: str, digest: int) -> bool:
        if position not in self.written:
            return False
        if self.ids and self.ids[position] != record_id:
            raise CheckpointMismatchError(
                f"resume= is the error of another input: its record {position} is "
                f"another one than {record_id!r}"
            )
        if self._known(position) not in (0, digest):
            raise CheckpointMismatchError(
                f"resume= is the error of another input: its record {position} ({record_id!r}) had "
                "another text, metadata, embedding or namespace. Give the same input in the same "
                "order, or leave out resume= to write all of it"
            )
        return True


class _File(Checkpoint):
    """A file that outlives the process."""

    resumes = True

    def __init__(self, path: Path, state: IndexState) -> None:
        super().__init__(state)
        self._path = path
        self._index, self._place = state.name, state.place
        self._seed = uuid.uuid4()
        self._end = 0
        with self._explained():
            self._load()

    async def check(self, io: Io) -> None:
        """Raise `CheckpointMismatchError` if the file is of a write to another index."""
        again = "to write all of the input here, delete the file"
        before = self._index, self._place, self._identity
        await self._check_index(io, f"{self._path} is the checkpoint", before, again)

    def id_for(self, position: int, generated: str) -> str:
        return str(uuid.uuid5(self._seed, str(position)))

    def holds(self, position: int, record_id: str, digest: int) -> bool:
        known = self._known(position)
        if known not in (0, digest):
            raise CheckpointMismatchError(
                f"the checkpoint {self._path} was written for another input: its record "
                f"{position} is not the one given now ({record_id!r}), or had another text, "
                "metadata, embedding or namespace. Give the same input in the same order, or "
                "delete the file to start again"
            )
        return known == digest

    async def begin(self, io: Io) -> None:
        if not self._end:
            header = {"vectorize_checkpoint": _VERSION, "index": self._index}
            await self._append(io, [{**header, "place": self._place, "seed": self._seed.hex}])

    async def note(self, io: Io, entries: Sequence[Entry], digest: Callable[[int], int]) -> None:
        is_first = self._identity is None
        if is_first and entries:
            # Only now: the write itself may have created the index.
            await find_details(io, self._state)
        await super().note(io, entries, digest)
        lines: list[dict[str, object]] = []
        for run in runs(sorted({entry.position for entry in entries})):
            digests = list(map(digest, run))
            self._restore(run.start, digests)
            lines.append({"at": run.start, "digests": digests})
        if lines and is_first and self._identity is not None:
            lines[0]["identity"] = astuple(self._identity)
        await self._append(io, lines)

    async def finish(self, io: Io) -> None:
        # Another client may have made the index anew meanwhile.
        await self.check(io)
        await io.offload(self._remove)

    async def _append(self, io: Io, lines: Sequence[Mapping[str, object]]) -> None:
        if lines:
            content = b"".join(orjson.dumps(line) + b"\n" for line in lines)
            await io.offload(lambda: self._write(content))

    def _remove(self) -> None:
        with self._explained():
            self._path.unlink(missing_ok=True)

    def _explained(self) -> AbstractContextManager[None]:
        return paths.explained("the checkpoint (resume=)", str(self._path))

    def _write(self, content: bytes) -> None:
        with self._explained(), self._path.open("r+b" if self._end else "wb") as file:
            # Overwrites a line that a crash cut off.
            file.seek(self._end)
            file.write(content)
            self._end = file.tell()
            file.truncate()

    def _load(self) -> None:
        if not self._path.parent.is_dir():
            raise InvalidInputError(f"resume={str(self._path)!r}: there is no such directory")
        if self._path.is_dir():
            raise InvalidInputError(f"resume={str(self._path)!r} is a directory; give a file in it")
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
                        if "identity" in noted:
                            self._identity = _Identity(*noted["identity"])
                    else:
                        self._read_header(noted)
                except InvalidInputError:
                    raise
                except (
                    AttributeError,
                    KeyError,
                    TypeError,
                    ValueError,
                    OverflowError,
                    MemoryError,
                ) as error:
                    raise self._no_checkpoint() from error
                self._end += len(line)
            if not self._end and file.seek(0, os.SEEK_END):
                raise self._no_checkpoint()

    def _read_header(self, noted: Mapping[str, Any]) -> None:
        version = noted["vectorize_checkpoint"]
        if version != _VERSION:
            raise CheckpointMismatchError(
                f"{self._path} is a checkpoint of version {version}, this release reads version "
                f"{_VERSION}: it does not say enough to go on safely. Delete the file, and write "
                "all of the input again"
            )
        self._index, self._place = noted["index"], noted["place"]
        self._seed = uuid.UUID(noted["seed"])

    def _no_checkpoint(self) -> InvalidInputError:
        return InvalidInputError(
            f"{self._path} is not a checkpoint of a write; give resume= the path of a new file"
        )


async def open_checkpoint(io: Io, resume: Resume | None, state: IndexState) -> Checkpoint:
    """The checkpoint that ``resume=`` names; its file is created when the write begins.

    Raises `CheckpointMismatchError` if it is of a write to another index.
    """
    if resume is None:
        return Checkpoint(state)
    checkpoint: _Error | _File
    if isinstance(resume, PartialWriteError):
        checkpoint = _Error(resume, state)
    else:

        def open_file() -> _File:
            return _File(Path(paths.absolute(resume, "resume", InvalidInputError)), state)

        checkpoint = await io.offload(open_file)
    await checkpoint.check(io)
    return checkpoint
