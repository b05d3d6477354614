"""What a LynseDB sends back: JSON in an envelope, bytes, plain text where a body is malformed."""

from __future__ import annotations

from typing import Any, Final, Literal

from vectorize_core import jsontext
from vectorize_core.api.parts import an_object
from vectorize_core.api.wire import one_line
from vectorize_core.errors import (
    ApiError,
    ApiMessage,
    AuthenticationError,
    BadRequestError,
    EngineError,
    IndexExistsError,
    NotFoundError,
    ServerError,
    UnexpectedAnswerError,
)

Form = Literal["params", "json", "bytes"]
"""What an answer is: the ``params`` of an envelope, a document of its own, or bytes."""

_BY_STATUS: Final[dict[int, type[ApiError]]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: AuthenticationError,
    404: NotFoundError,
    408: ServerError,
    409: ApiError,
}
_BY_CODE: Final[dict[str, type[ApiError]]] = {
    "already_exists": IndexExistsError,
    "internal_error": EngineError,
}
_BY_WORDS: Final[tuple[tuple[str, type[ApiError]], ...]] = (
    ("Invalid argument", BadRequestError),
    ("Dimension mismatch", BadRequestError),
    ("Database not found", NotFoundError),
    ("Collection not found", NotFoundError),
    ("Collection already exists", IndexExistsError),
)
"""How messages begin that old servers and coordinators send with 500 and no code."""


def read_answer(operation: str, status: int, body: bytes | bytearray, form: Form) -> Any:
    """What the answer to an operation holds, or the error it carries."""
    if not 200 <= status < 300:
        raise _error(operation, status, body)
    if form == "bytes":
        return bytes(body)
    try:
        found = jsontext.loads(body)
    except ValueError:
        found = None
    if form == "json" and isinstance(found, dict):
        return found
    if isinstance(found, dict) and found.get("status") == "success":
        return an_object(found.get("params"), "params")
    raise UnexpectedAnswerError(
        f"{operation}: HTTP {status} that is no answer of LynseDB; it begins {bytes(body[:80])!r}. "
        "Does base_url point at its server?"
    )


def _error(operation: str, status: int, body: bytes | bytearray) -> ApiError:
    try:
        found = jsontext.loads(body)
    except ValueError:
        found = None
    said = found.get("error") if isinstance(found, dict) else None
    if isinstance(said, str):
        code = found.get("code")
        kind = _kind(status, code if isinstance(code, str) else "", said)
    else:
        # Malformed bodies, bodies too large, and what stands between.
        said = bytes(body).decode(errors="replace").strip()
        kind = ServerError if status >= 500 else _BY_STATUS.get(status, ApiError)
    return kind(operation, status, (ApiMessage(None, one_line(said)),) if said else ())


def _kind(status: int, code: str, said: str) -> type[ApiError]:
    if code in _BY_CODE:
        return _BY_CODE[code]
    if status == 500:
        return next((kind for start, kind in _BY_WORDS if start in said), EngineError)
    return ServerError if status > 500 else _BY_STATUS.get(status, ApiError)
