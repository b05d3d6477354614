"""Multipart forms: the one file in a body (RFC 7578).

Clients give the file's field different names: `vectors`, `body`, or an empty one. The form is cut
at its delimiters by plain searches of the whole body, and what they find is bounded. So 100 MB take
no long loop, and hold up no other thread. Nothing but the file is copied.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email import message_from_string
from email.message import Message
from typing import Final

from vectorize_core.local import faults
from vectorize_core.local.faults import ServiceFault

FIELD: Final = "vectors"
"""The field's name in Cloudflare's documentation, which counts if a form has several files."""
MOST_PARTS: Final = 100
MOST_HEADER_BYTES: Final = 2_048
"""Of a part's headers together. What parses them takes quadratic time."""
MOST_OTHER_LINES: Final = 1_000
"""That begin like a delimiter and are none."""
_MOST_BOUNDARY: Final = 200
_PLAIN: Final = ("7bit", "8bit", "binary")
_REST: Final = re.compile(rb"(--)?[ \t]{0,100}(?=\r?\n|\Z)")
_BLANK_LINE: Final = re.compile(rb"\r?\n\r?\n")
_FIRST_LINE: Final = re.compile(rb"\s*--([^\r\n]+?)[ \t]*\r?\n")


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    is_file: bool
    encoding: str
    start: int
    end: int


def file_content(content_type: str, body: bytes, *, guess_boundary: bool = False) -> bytes:
    """The content of a form's file; a fault if there is none, or not one alone.

    That is the field `vectors`, or else the only file whatever its field's name, or else the only
    field. With ``guess_boundary`` the body's first line is the boundary if the header has none.
    """
    boundary = _parameter(content_type, "boundary")
    if boundary is None and guess_boundary and (found := _FIRST_LINE.match(body, 0, 1_000)):
        boundary = found[1].decode("latin-1")
    if not boundary or len(boundary) > _MOST_BOUNDARY:
        raise _unreadable("its Content-Type has no boundary")
    part = _chosen(list(_parts(body, boundary.encode("latin-1", "replace"))))
    if part.encoding not in _PLAIN:
        raise _unreadable(
            f"the file has the Content-Transfer-Encoding {part.encoding[:20]!r}; send its bytes as "
            "they are"
        )
    return body[part.start : part.end]


def looks_like_form(body: bytes) -> bool:
    """Whether a body begins like a form, as no JSON does."""
    return body[:1_000].lstrip().startswith(b"--")


def _chosen(parts: Sequence[_Part]) -> _Part:
    candidates = [part for part in parts if part.name == FIELD]
    if not candidates:
        candidates = [part for part in parts if part.is_file] or list(parts)
    if len(candidates) == 1:
        return candidates[0]
    names = ", ".join(f"{part.name[:40]!r}" for part in candidates[:5])
    named = "" if candidates[0].name == FIELD else f", or name its field {FIELD!r}"
    raise _unreadable(
        f"it has {len(candidates)} parts that could be the vectors ({names}); send one file{named}"
    )


def _parts(body: bytes, boundary: bytes) -> Iterator[_Part]:
    # What comes before the first delimiter and after the last one does not count (RFC 2046).
    begun, count = None, 0
    for start, end, is_last in _delimiters(body, b"--" + boundary):
        if begun is not None:
            count += 1
            if count > MOST_PARTS:
                raise _unreadable(f"it has more than {MOST_PARTS} parts")
            # The line break before a delimiter belongs to the delimiter.
            before = start - (2 if body[start - 2 : start] == b"\r\n" else 1)
            yield _part(body, begun, max(before, begun))
        begun = end
        if is_last:
            break
    else:
        raise _unreadable(
            "its boundary is not that of its Content-Type"
            if begun is None
            else "it breaks off before its closing boundary"
        )
    if count == 0:
        raise _unreadable("it has no parts")


def _delimiters(body: bytes, mark: bytes) -> Iterator[tuple[int, int, bool]]:
    """Where each delimiter starts and ends, and whether it is the last; ``mark`` begins them."""
    other_lines = 0
    start = 0 if body.startswith(mark) else body.find(b"\n" + mark) + 1 or -1
    while start >= 0:
        rest = _REST.match(body, start + len(mark))
        if rest is not None:
            yield start, rest.end(), rest[1] is not None
        else:
            other_lines += 1
            if other_lines > MOST_OTHER_LINES:
                raise _unreadable("its boundary begins many lines of the file")
        start = body.find(b"\n" + mark, start + len(mark)) + 1 or -1


def _part(body: bytes, start: int, end: int) -> _Part:
    """A part; ``start`` is where the line of its delimiter ends."""
    blank = _BLANK_LINE.search(body, start, min(end, start + MOST_HEADER_BYTES))
    if blank is None:
        raise _unreadable(f"a part's headers do not end within {MOST_HEADER_BYTES} bytes")
    headers = message_from_string(body[start : blank.start()].strip().decode("latin-1"))
    found = headers.get_params([], header="content-disposition")
    parameters = {name.lower(): value for name, value in found}
    return _Part(
        name=_text(parameters.get("name")) or "",
        is_file="filename" in parameters,
        encoding=str(headers.get("content-transfer-encoding", "binary")).strip().lower(),
        start=blank.end(),
        end=end,
    )


def _parameter(header: str, name: str) -> str | None:
    headers = Message()
    headers["content-type"] = header[:MOST_HEADER_BYTES]
    return _text(headers.get_param(name))


def _text(parameter: str | tuple[str | None, str | None, str] | None) -> str | None:
    # A triple has an encoding and a language before the text.
    return parameter[2] if isinstance(parameter, tuple) else parameter


def _unreadable(why: str) -> ServiceFault:
    return faults.refused(f"the form cannot be read: {why}")
