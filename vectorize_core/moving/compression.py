"""Compressed files as they grow and as they are read: whole members, one after the other."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Generator
from importlib import import_module
from typing import Any, BinaryIO, Final

from vectorize_core.errors import ConfigurationError, InvalidInputError
from vectorize_core.moving.formats import Compression

_READ_AT_ONCE: Final = 1 << 16
_READ_OF_ZSTD: Final = 1 << 12
"""What may hold thirty thousand times as much."""
_GZIP: Final = 31
"""Of zlib: with the header of gzip."""
_GZIP_LEVEL: Final = 4
"""Numbers hardly become smaller by more."""


def member(data: bytes, compression: Compression) -> bytes:
    """``data`` as something that stands by itself, behind or before others."""
    if compression == "gz":
        compressor = zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP)
        return compressor.compress(data) + compressor.flush()
    return _zstd_compressor()(data) if compression == "zst" else data


def contents(file: BinaryIO, compression: Compression) -> Generator[bytes, None, None]:
    """What a file holds, in pieces. `InvalidInputError` if it is damaged, or ends too early."""
    if not compression:
        while data := file.read(_READ_AT_ONCE):
            yield data
        return
    new: Callable[[], Any] = (
        (lambda: zlib.decompressobj(_GZIP)) if compression == "gz" else _zstd_decompressor()
    )
    at_once = min(_READ_AT_ONCE, _READ_OF_ZSTD) if compression == "zst" else _READ_AT_ONCE
    current = None
    while data := file.read(at_once):
        while data:
            current = new() if current is None else current
            try:
                yield current.decompress(data)
            except Exception as error:
                # Each library has an error of its own, which need not be installed.
                raise InvalidInputError(
                    f"it is damaged, or not what it is called ({error})"
                ) from None
            data = current.unused_data if current.eof else b""
            current = None if current.eof else current
    if current is not None:
        raise InvalidInputError("it ends too early: it was cut, or is still being written")


def _zstd_compressor() -> Callable[[bytes], bytes]:
    zstd = _zstd()
    compress: Callable[[bytes], bytes] = (
        zstd.compress if hasattr(zstd, "compress") else zstd.ZstdCompressor().compress
    )
    return compress


def _zstd_decompressor() -> Callable[[], Any]:
    zstd = _zstd()
    if sys.version_info >= (3, 14):
        return zstd.ZstdDecompressor  # type: ignore[no-any-return]
    return zstd.ZstdDecompressor().decompressobj  # type: ignore[no-any-return]


def _zstd() -> Any:
    """Python's own zstd where it has one, otherwise zstandard."""
    try:
        return import_module("compression.zstd" if sys.version_info >= (3, 14) else "zstandard")
    except ImportError as error:
        raise ConfigurationError(
            "a file that ends in .zst needs zstandard: pip install 'vectorize-stores[zstd]'"
        ) from error
