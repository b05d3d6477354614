"""What the page's routes answer: a result or an error, always as JSON, and what a browser may do.

Everything that a record holds is hostile: it leaves this module as JSON only, under a type that no
browser takes for a document.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from starlette.responses import Response

from vectorize_core.errors import (
    ApiError,
    BadRequestError,
    ConfigurationError,
    ConnectionFailedError,
    IndexExistsError,
    InvalidFilterError,
    InvalidInputError,
    MissingTextError,
    NotFoundError,
    RateLimitError,
    TooManyRequestsNeededError,
    VectorizeError,
)
from vectorize_core.local.faults import ServiceFault

logger = logging.getLogger("vectorize_core.server")
SAFE_INTEGER: Final = 2**53
"""From which on a browser's numbers are not exact."""
HEADERS: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
"""Of every answer, whatever it is."""
_STATUS: Final[Sequence[tuple[type[Exception], int]]] = (
    (NotFoundError, 404),
    (IndexExistsError, 409),
    (RateLimitError, 429),
    (BadRequestError, 400),
    # Not 401, which is about the token of the page.
    (ApiError, 502),
    (ConnectionFailedError, 502),
    (InvalidInputError, 400),
    (ConfigurationError, 400),
    (MissingTextError, 409),
)


class PageError(Exception):
    """A refusal of the page itself, with the status and the name that the browser is told."""

    def __init__(self, status: int, kind: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.status, self.kind, self.hint = status, kind, hint


class Json(Response):
    """A JSON document that nothing keeps."""

    media_type = "application/json"

    def __init__(self, content: Any, status: int = 200) -> None:
        super().__init__(content, status, {"cache-control": "no-store"})

    def render(self, content: Any) -> bytes:
        """The bytes of the body."""
        return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def success(result: Any) -> Response:
    """A result."""
    return Json({"ok": True, "result": result})


def failure(error: Exception) -> Response:
    """What went wrong. An error that is none of the library's is told in the log only."""
    hint = at = None
    if isinstance(error, PageError):
        status, kind, message, hint = error.status, error.kind, str(error), error.hint
    elif isinstance(error, ServiceFault):
        status, kind, message = error.status, "Refused", error.message
    elif isinstance(error, VectorizeError):
        found = (status for base, status in _STATUS if isinstance(error, base))
        status, kind, message = next(found, 500), type(error).__name__, str(error)
        if isinstance(error, InvalidFilterError) and error.place is not None:
            at = f"$.{error.place}".rstrip(".")
        if isinstance(error, TooManyRequestsNeededError):
            hint = f"about {error.needed} requests are needed, {error.allowed} are allowed"
    else:
        logger.error("an answer of the page", exc_info=error)
        status, kind = 500, "InternalError"
        message = f"{type(error).__name__} in the page; the log of the command has more"
    told = {"type": kind, "message": plain(message), "at": at, "hint": hint}
    return Json({"ok": False, "error": told}, status)


def plain(value: Any) -> Any:
    """A value of metadata as JSON that a browser reads without loss.

    What JSON has no word for is shown as Python writes it; `kind_of` says what it is.
    """
    kind = type(value)
    if kind is str:
        # Lone surrogates are in no UTF-8.
        return value if value.isascii() else value.encode(errors="replace").decode()
    if value is None or kind is bool:
        return value
    if kind is int:
        return value if -SAFE_INTEGER < value < SAFE_INTEGER else _digits(value)
    if kind is float:
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, Mapping):
        return {plain(k if isinstance(k, str) else repr(k)): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    return plain(str(value)) if not isinstance(value, str) else plain(str.__str__(value))


def cut(text: str, most: int) -> str:
    """A text of which only so many characters are shown."""
    return text if len(text) <= most else f"{text[:most]}…"


def kind_of(value: Any) -> str | None:
    """The Python type of what JSON has no word for; None for all else."""
    known = isinstance(value, (str, bool, int, float, list, dict)) or value is None
    return None if known else type(value).__name__


def _digits(value: int) -> str:
    try:
        return str(value)
    except ValueError:
        return hex(value)
