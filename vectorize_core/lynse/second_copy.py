"""The second copy of an index's header, in the names of vectors that its records may have.

Descriptions of all collections of a database are in one file, which is lost as a whole. The names
are in a file of the collection, which a server replaces at once, and which snapshots have, too. No
record has such a vector. A header takes several names, for none has more than 128 letters.

Another such name says that a client makes the index: the server refuses one that exists with other
dimensions.
"""

from __future__ import annotations

import re
import secrets
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from typing import Final

from vectorize_core.errors import BadRequestError, ConfigurationError
from vectorize_core.lynse.header import Header
from vectorize_core.lynse.operations.vector_fields import CreateVectorField, ListVectorFields
from vectorize_core.lynse.requests import Requests
from vectorize_core.transport.io import Io

_CLAIM: Final = "header-claim"
_CLAIMS: Final = 1_000_000
_LETTERS: Final = 80
_NAME: Final = re.compile(r"header-(\d+)-([0-9a-f]{8})-(\d+)-(\d+)-([\w-]+)")
"""Which header, as it was changed; its checksum, so that two clients make no mixture; the part of
how many; and its letters."""


async def take_claim(io: Requests, at: tuple[str, str]) -> bool:
    """Whether this client makes the index; no other one may then."""
    try:
        await io.call(CreateVectorField(*at, _CLAIM, 1 + secrets.randbelow(_CLAIMS)))
    except BadRequestError:
        return False
    return True


async def is_claimed(io: Io | Requests, at: tuple[str, str]) -> bool:
    """Whether a client makes the index, or has made it."""
    return any(field.name == _CLAIM for field in await io.call(ListVectorFields(*at)))


async def keep_copy(io: Io | Requests, at: tuple[str, str], header: Header) -> None:
    """Keep what a header says of an index, if the newest copy says something else."""
    text = replace(header, rows=None, epoch="").to_text()
    found = await _copies(io, at)
    if found and found[max(found)] == text:
        return
    letters = urlsafe_b64encode(text.encode()).decode().rstrip("=")
    parts = [letters[start : start + _LETTERS] for start in range(0, len(letters), _LETTERS)]
    number, checksum = max(found, default=-1) + 1, zlib.crc32(text.encode())
    for part, some in enumerate(parts):
        name = f"header-{number}-{checksum:08x}-{part}-{len(parts)}-{some}"
        await io.call(CreateVectorField(*at, name, 1))


async def read_copy(io: Io | Requests, at: tuple[str, str]) -> Header | None:
    """The newest copy; None if there is none."""
    return next(iter(await read_copies(io, at)), None)


async def read_copies(io: Io | Requests, at: tuple[str, str]) -> list[Header]:
    """All copies, the newest first."""
    found = []
    for _, text in sorted((await _copies(io, at)).items(), reverse=True):
        # Another version of this library may have made some.
        with suppress(ConfigurationError):
            found.append(Header.of(at[1], text))
    return found


async def _copies(io: Io | Requests, at: tuple[str, str]) -> dict[int, str]:
    """All that are complete, by their number."""
    parts: dict[tuple[int, str, int], dict[int, str]] = defaultdict(dict)
    for field in await io.call(ListVectorFields(*at)):
        if match := _NAME.fullmatch(field.name):
            number, checksum, part, count, letters = match.groups()
            parts[int(number), checksum, int(count)][int(part)] = letters
    found = {}
    for (number, _, count), having in parts.items():
        if len(having) == count:
            letters = "".join(having[part] for part in range(count))
            # What is not ours is refused as a header.
            with suppress(ValueError):
                padded = letters + "=" * (-len(letters) % 4)
                found[number] = urlsafe_b64decode(padded).decode()
    return found
