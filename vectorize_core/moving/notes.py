"""How far a move is, noted in a file that outlives the process; it goes with the move's end."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from vectorize_core import paths
from vectorize_core.errors import CheckpointMismatchError, InvalidInputError
from vectorize_core.moving.parcel import LARGEST, Tally

_VERSION: Final = 1


@dataclass(slots=True)
class Progress:
    """How far a move is: where its source goes on, what it has counted, how far files have grown.

    ``created`` is when the index was created that it writes to.
    """

    cursor: str | None = None
    tally: Tally = field(default_factory=Tally)
    marks: tuple[int, ...] = (0, 0)
    created: str | None = None


class Notes:
    """The file of the progress of one move; ``move`` says which, as JSON.

    Without a path nothing is noted.
    """

    def __init__(self, path: Path | None, move: Mapping[str, Any]) -> None:
        self.path = path
        self._move = {"vectorize_move": _VERSION, **move}

    def load(self) -> Progress | None:
        """What was noted of this move; None if it begins.

        `CheckpointMismatchError` if the file is of another one, `InvalidInputError` if of none.
        """
        if self.path is None:
            return None
        with paths.explained("the notes of a move", str(self.path)):
            content = self.path.read_bytes() if self.path.exists() else b""
        if not content.strip(b"\0"):
            # Also what a loss of power may have left: what it was of is moved again.
            return None
        try:
            noted = orjson.loads(content)
        except orjson.JSONDecodeError:
            noted = None
        if not isinstance(noted, dict) or "vectorize_move" not in noted:
            raise self._no_notes()
        other = [key for key, value in self._move.items() if noted.get(key) != value]
        if other:
            raise CheckpointMismatchError(
                f"{self.path} says how far another move is: its {other[0]} is "
                f"{noted.get(other[0])!r}, not {self._move[other[0]]!r}. To begin anew, delete "
                "that file"
            )
        try:
            return _progress(**noted["progress"])
        except (KeyError, TypeError, ValueError):
            raise self._no_notes() from None

    def _no_notes(self) -> InvalidInputError:
        return InvalidInputError(
            f"{self.path} does not say how far a move is; give resume= the path of a new file, "
            "or delete that one"
        )

    def save(self, progress: Progress) -> None:
        """Note the progress, in place of what was noted before."""
        if self.path is None:
            return
        said = asdict(progress)
        said["tally"]["total"] = progress.tally.moved.digest
        with paths.explained("the notes of a move", str(self.path)):
            new = self.path.with_name(f"{self.path.name}.new")
            new.write_bytes(orjson.dumps({**self._move, "progress": said}))
            os.replace(new, self.path)

    def remove(self) -> None:
        """Forget the move."""
        if self.path is not None:
            with paths.explained("the notes of a move", str(self.path)):
                self.path.unlink(missing_ok=True)


def _progress(
    cursor: str | None, tally: Mapping[str, Any], marks: Sequence[int], created: str | None
) -> Progress:
    grown, texts = marks
    counts = tally["records"], tally["texts"], grown, texts
    words = {type(word) for word in (cursor, created)}
    total = int.from_bytes(bytes.fromhex(tally["total"]))
    whole = {*map(type, counts)} == {int} and min(counts) >= 0 and max(counts) <= sys.maxsize
    if not (whole and words <= {str, type(None)} and total <= LARGEST):
        raise ValueError("not as it was noted")
    counted = Tally(*counts[:2], total)
    return Progress(cursor, counted, (grown, texts), created)


def notes_path(resume: str | os.PathLike[str] | None) -> Path | None:
    """The file that ``resume=`` names, if it is given."""
    return None if resume is None else Path(paths.absolute(resume, "resume", InvalidInputError))
