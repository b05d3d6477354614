"""The system's cache of files: emptied, and looked into. Linux only."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from pathlib import Path

import numpy as np


def drop(directory: Path) -> bool:
    """Let the system forget what it has of the files of a directory; whether it did.

    It keeps pages that a process has mapped.
    """
    if not hasattr(os, "posix_fadvise"):
        return False
    files = [path for path in directory.iterdir() if path.is_file()]
    for path in files:
        with path.open("rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return sum(map(resident, files)) <= 0.01 * sum(path.stat().st_size for path in files)


def reread(directory: Path) -> None:
    """Let the system read the files of a directory from disk, as after a restart.

    What was written stays in the small pieces in which it was; what is read comes in large pages.
    """
    drop(directory)
    for path in directory.iterdir():
        if path.is_file():
            with path.open("rb", buffering=0) as opened:
                while opened.read(1 << 24):
                    pass


def resident(path: Path) -> int:
    """How many bytes of a file are in the cache, in whole pages; 0 where that cannot be told."""
    if not sys.platform.startswith("linux") or not path.stat().st_size:
        return 0
    # A view of the file, which is not read; it ends with the array.
    view = np.memmap(path, np.uint8, "r")
    pages = np.zeros(-(-view.size // mmap.PAGESIZE), np.uint8)
    libc = ctypes.CDLL(None, use_errno=True)
    place, size = ctypes.c_void_p(view.ctypes.data), ctypes.c_size_t(view.size)
    if libc.mincore(place, size, ctypes.c_void_p(pages.ctypes.data)):
        raise OSError(ctypes.get_errno(), "mincore", str(path))
    return int(np.count_nonzero(pages & 1)) * mmap.PAGESIZE


def read_from_disk() -> int:
    """Bytes that this process has made the disk read; 0 where that cannot be told."""
    path = Path("/proc/self/io")
    if not path.exists():
        return 0
    lines = dict(line.split(": ") for line in path.read_text().splitlines())
    return int(lines["read_bytes"])
