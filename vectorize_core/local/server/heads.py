"""Heads of requests that every server and proxy reads alike; others are refused.

Where two readers see the end of a request in two places, one of them takes the rest for a request
of somebody else. h11 reads some such heads; the length of a body is what matters most.
https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import re
from typing import Final

import h11

MOST_BYTES: Final = 1 << 15
MOST_HEADERS: Final = 100
SMALL_CHUNK: Final = 64
"""Bytes below which a chunk takes much longer to read than what is in it."""
MOST_SMALL_CHUNKS: Final = 1_000
"""Chunks of a body after which they have to be larger on average."""
_REQUEST_LINE: Final = re.compile(rb"[A-Z]{1,20} /[\x21-\x7e]* HTTP/1\.([01])")
_HEADER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t ]*([\t\x20-\x7e\x80-\xff]*)")
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_HOST: Final = re.compile(rb"[A-Za-z0-9._~%!$&'()*+,;=:\[\]-]*")
_ENDS: Final = re.compile(rb"(?<!\r)\n|\r\n\r\n")
_ONCE: Final = (b"content-length", b"transfer-encoding", b"host", b"content-type", b"authorization")


class StrictConnection(h11.Connection):
    """h11's side of a connection, which refuses what others may read in another way."""

    _is_chunked = False
    _chunks = 0
    _in_chunks = 0
    _recent = b""
    """What has come in of a chunked body, as far as its end may be in it."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, MOST_BYTES)

    def receive_data(self, data: bytes) -> None:
        """Note what has come in."""
        if self._is_chunked:
            self._recent += data
        super().receive_data(data)

    def next_event(self) -> h11.Event | type[h11.NEED_DATA | h11.PAUSED]:
        """The next event; `h11.RemoteProtocolError` for what is refused."""
        if self.their_state is h11.IDLE:
            check(self.trailing_data[0])
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._is_chunked = any(name == b"transfer-encoding" for name, _ in event.headers)
            self._recent = self.trailing_data[0] if self._is_chunked else b""
            self._chunks = self._in_chunks = 0
        elif self._is_chunked:
            self._check_chunks(event)
        return event

    def _check_chunks(self, event: h11.Event | type[h11.NEED_DATA | h11.PAUSED]) -> None:
        if isinstance(event, h11.Data):
            self._chunks += event.chunk_start
            self._in_chunks += len(event.data)
            if self._chunks > max(MOST_SMALL_CHUNKS, self._in_chunks // SMALL_CHUNK):
                raise _refused("a body of many small chunks")
        elif isinstance(event, h11.EndOfMessage):
            read = self._recent[: len(self._recent) - len(self.trailing_data[0])]
            self._is_chunked, self._recent = False, b""
            if event.headers or not read.endswith(b"\r\n"):
                raise _refused("fields after the body")
        else:
            # The end of the body is in what comes; its last two bytes may begin here.
            self._recent = self._recent[-1:]

    @property
    def has_part(self) -> bool:
        """Whether a part of a head has arrived."""
        return self.their_state is h11.IDLE and bool(self.trailing_data[0])


def check(data: bytes) -> None:
    """Refuse a head if it is not as it has to be, as far as it has arrived."""
    found = _ENDS.search(data, 0, MOST_BYTES)
    if found is None:
        if len(data) >= MOST_BYTES:
            raise _refused("it is too long")
        return
    if found[0] == b"\n":
        raise _refused("a line ends without CR")
    line, *lines = data[: found.start()].split(b"\r\n")
    request = _REQUEST_LINE.fullmatch(line)
    if request is None:
        raise _refused("the request line")
    if len(lines) > MOST_HEADERS:
        raise _refused("it has too many headers")
    headers: dict[bytes, bytes] = {}
    for each in lines:
        header = _HEADER.fullmatch(each)
        if header is None:
            raise _refused("a header")
        name = header[1].lower()
        if name in headers and name in _ONCE:
            raise _refused(f"two headers {name.decode()}")
        headers[name] = header[2].strip(b" \t")
    _check_length(headers, old=request[1] == b"0")
    if _HOST.fullmatch(headers.get(b"host", b"")) is None:
        raise _refused("the host")


def _check_length(headers: dict[bytes, bytes], *, old: bool) -> None:
    length, coding = headers.get(b"content-length"), headers.get(b"transfer-encoding")
    if length is not None and _LENGTH.fullmatch(length) is None:
        raise _refused("the content-length")
    if coding is not None and (old or length is not None or coding.lower() != b"chunked"):
        raise _refused("the transfer-encoding")


def _refused(what: str) -> h11.RemoteProtocolError:
    return h11.RemoteProtocolError(f"refused: {what}", error_status_hint=400)
