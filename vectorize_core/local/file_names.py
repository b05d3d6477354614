"""The file of a name that a client chose, on every file system.

macOS and Windows take "A" and "a" for one file, and Windows has names that are no files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_NO_FILES: Final = {
    *("con", "prn", "aux", "nul"),
    *(f"{device}{number}" for device in ("com", "lpt") for number in range(10)),
}


def file_of(folder: Path, name: str, suffix: str = "") -> Path:
    """The file of ``name`` (letters, digits, ``-`` and ``_``) in ``folder``.

    A name with capitals has a file whose name has none, and says where they are: a file system
    that knows no case would mix it up with another one. If a file has the name itself, as those of
    earlier versions do, it is that one.
    """
    capitals = sum(1 << position for position, letter in enumerate(name) if letter.isupper())
    plain = folder / f"{name}{suffix}"
    if not capitals and name not in _NO_FILES:
        return plain
    if capitals and _is_there(plain):
        return plain
    return folder / f"{name.lower()}={capitals:x}{suffix}"


def _is_there(path: Path) -> bool:
    """Whether there is a file of exactly this name, capitals too."""
    return path.exists() and any(other.name == path.name for other in path.parent.iterdir())
