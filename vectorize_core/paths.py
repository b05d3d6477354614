"""Paths that users give, and what the file system says of them in words.

A path is made absolute once, when it is given: after a ``chdir`` it names the same place.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from vectorize_core.errors import ConfigurationError, StorageError, VectorizeError

MEMORY: Final = ":memory:"
"""What stands for memory where a directory may be given."""
_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_WRITING: Final = {errno.EROFS, errno.EACCES, errno.EPERM}


def absolute(
    path: object, name: str = "path", error: type[VectorizeError] = ConfigurationError
) -> str:
    """``path`` (str, bytes or PathLike) as an absolute one, with ``~`` expanded.

    ``name`` is the argument it was given for. Symbolic links and ``..`` are left as they are.
    Raises ``error`` for what is no path.
    """
    try:
        given = os.fsdecode(path)  # type: ignore[arg-type]
        os.fsencode(given)
    except (TypeError, UnicodeError) as reason:
        raise error(f"{name}={path!r} is no path: {reason}") from None
    if not given:
        raise error(f"{name}='' is empty; give a path, or '.' for the current directory")
    if "\0" in given:
        raise error(f"{name}={given!r} is no path: it holds a null character")
    expanded = os.path.expanduser(given)
    if given.startswith("~") and expanded == given:
        raise error(
            f"{name}={given!r}: there is no such home directory; for a name that begins with ~ "
            f"give {'./' + given!r}"
        )
    try:
        return str(Path(expanded).absolute())
    except OSError:
        raise error(
            f"{name}={given!r} is relative to the current directory, which does not exist any "
            "more; give an absolute path"
        ) from None


def absolute_or_memory(path: object, name: str = "path") -> str:
    """`absolute`, but for ``":memory:"``, which is returned as it is."""
    try:
        if os.fsdecode(path) == MEMORY:  # type: ignore[arg-type]
            return MEMORY
    except (TypeError, UnicodeError):
        pass
    return absolute(path, name)


@contextmanager
def explained(what: str, place: str) -> Iterator[None]:
    """Raise an error of the file system as a `StorageError` that tells what to do.

    ``what`` is what is kept in ``place``, such as "the embedded Vectorize".
    """
    try:
        yield
    except OSError as error:
        raise storage_error(error, what, place) from error


MAKE_ROOM: Final = "Make room"
"""What to do about a full disk."""


def no_space(what: str, place: str, room: str = MAKE_ROOM) -> StorageError:
    """The error of a full disk; ``room`` says how there is some again."""
    return StorageError(
        f"no space is left for {what} in {place}: this call has changed nothing, and everything "
        f"before it is kept. {room}, then call again"
    )


def is_alarm(error: BaseException) -> bool:
    """Whether a signal's handler has raised it to end a call, and not the file system."""
    return isinstance(error, TimeoutError) and error.errno is None


def storage_error(error: OSError, what: str, place: str, room: str = MAKE_ROOM) -> StorageError:
    """An error of the file system in words."""
    at = place if error.filename is None else os.fsdecode(error.filename)
    if error.errno in _FULL:
        return no_space(what, place, room)
    link = _no_directory(at)
    if os.path.islink(link) and not os.path.exists(link) and error.errno != errno.ELOOP:
        says = f"{link} is a symbolic link to {os.readlink(link)}, which does not exist"
    elif error.errno == errno.EROFS:
        says = f"{at} is on a read-only file system. Give a place that can be written to"
    elif error.errno in _NO_WRITING:
        says = (
            f"this process may not use {at} ({error.strerror}). Give its user (here "
            f"{_user()}) permission, or another place"
        )
    elif error.errno in (errno.EMFILE, errno.ENFILE):
        says = (
            "too many files are open. Close stores that are not needed, or raise the limit "
            "(ulimit -n), then call again"
        )
    elif error.errno == errno.ENAMETOOLONG:
        says = f"the path {at} is too long for this file system. Give a shorter one"
    elif error.errno == errno.ENOTDIR or isinstance(error, FileExistsError):
        says = f"{_no_directory(at)} is a file where a directory belongs. Give another path"
    elif error.errno == errno.EISDIR:
        says = f"{at} is a directory where a file belongs. Give another path, or move it away"
    elif error.errno == errno.ELOOP:
        says = f"{at} is a symbolic link that leads to itself. Give another path"
    elif error.errno == errno.ENOENT:
        says = f"{at} does not exist, or was removed meanwhile. Open it anew to begin with nothing"
    elif error.errno == errno.EIO:
        says = f"the disk failed ({error}). See to the disk, then call again"
    else:
        says = f"the file system says: {error}"
    return StorageError(f"{what} in {place} cannot be used: {says}")


def _user() -> str:
    return f"uid {os.geteuid()}" if hasattr(os, "geteuid") else "of the process"


def _no_directory(path: str) -> str:
    """The part of ``path`` that is there and no directory, the outermost."""
    for part in reversed([Path(path), *Path(path).parents]):
        if os.path.lexists(part) and not part.is_dir():
            return str(part)
    return path
