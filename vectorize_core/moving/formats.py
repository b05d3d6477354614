"""What the ending of a file's name says: its format, and what lies beside it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from vectorize_core import paths
from vectorize_core.errors import InvalidInputError

Compression = Literal["", "gz", "zst"]
_NAME: Final = re.compile(r"(?P<stem>.+)\.(?:(?P<lines>ndjson|jsonl)(?:\.(?P<by>gz|zst))?|parquet)")


@dataclass(frozen=True, slots=True)
class Place:
    """A file of records: lines of NDJSON, perhaps compressed, or Parquet."""

    path: Path
    stem: str
    ending: str
    compression: Compression

    @property
    def is_parquet(self) -> bool:
        """Whether it is Parquet, and not lines."""
        return self.ending == ".parquet"

    @property
    def texts(self) -> Place:
        """The file beside it of texts that do not fit into their vectors."""
        stem = f"{self.stem}.texts"
        path = self.path.with_name(stem + self.ending)
        return Place(path, stem, self.ending, self.compression)

    @property
    def manifest(self) -> Path:
        """The file beside it that says what it holds."""
        return self.beside(".manifest.json")

    def beside(self, suffix: str) -> Path:
        """A file beside it whose name begins as its own."""
        return self.path.with_name(self.path.name + suffix)


def place(given: str | os.PathLike[str], name: str = "path") -> Place:
    """The file of a path. `InvalidInputError` for an ending that says no format."""
    path = Path(paths.absolute(given, name, InvalidInputError))
    found = _NAME.fullmatch(path.name)
    if found is None:
        raise InvalidInputError(
            f"{name}={str(given)!r}: the ending says the format; it is .ndjson or .jsonl, with .gz "
            "or .zst behind it if it is compressed, or .parquet"
        )
    stem, by = found["stem"], found["by"] or ""
    compression: Compression = "gz" if by == "gz" else "zst" if by == "zst" else ""
    return Place(path, stem, path.name.removeprefix(stem), compression)
