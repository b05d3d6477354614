"""What a binding throws as the errors that REST gives for the same.

It throws plain errors, of which only the text tells: ``VECTOR_QUERY_ERROR (code = 40006): ...``
"""

from __future__ import annotations

import re
from typing import Any, Final

from vectorize_core.api.operations import Op
from vectorize_core.api.wire import one_line
from vectorize_core.errors import (
    ApiMessage,
    ConfigurationError,
    ConnectionFailedError,
    UnexpectedAnswerError,
    VectorizeError,
    error_from_answer,
    in_words,
)

_VECTORIZE: Final = re.compile(
    r"(?:INDEX_GET|VECTOR_[A-Z]+)_ERROR(?: \(code = (\d+)\))?: (.*)", re.DOTALL
)
_STATUS: Final = re.compile(r"Status \+ (\d{3})\b")
"""Of an answer that is no JSON."""
_D1: Final = re.compile(r"D1_([A-Z_]+): (.*)", re.DOTALL)
_D1_ITSELF: Final = {"ERROR", "EXEC_ERROR", "DUMP_ERROR"}
"""Any other is of the binding, and of the call."""
_SQLITE_FAILS: Final = re.compile("SQLITE_(?:BUSY|LOCKED|IOERR)")
_D1_FAILS: Final = re.compile(
    r"\breset\b|overload|\blost\b|time(?:d ?)?out|internal error|transient|queued", re.IGNORECASE
)
"""https://developers.cloudflare.com/d1/observability/debug-d1/"""
_SQL_ERROR: Final = 7500
_NOT_JSON: Final = "Failed to parse body as JSON"
_SUBREQUESTS: Final = "Too many subrequests"
_PATIENCE: Final = 10.0
"""Seconds to try again where it is not known what fails; the Worker's caller is waiting."""
_LIMIT: Final = re.compile(r"exceeded (?:its )?(?:memory|CPU)\b", re.IGNORECASE)
_OTHER_REQUEST: Final = "Cannot perform I/O on behalf of a different"
_MISTAKE: Final = re.compile(
    r"\b(?:Type|Range|Reference|DataClone)Error: |Invalid \w+ option|does not implement the method"
)
"""What JavaScript throws of a call that no binding would take, however often it is tried."""
_REMOTE: Final = "needs to be run remotely"
_NO_VECTORIZE: Final = (
    "wrangler dev has no Vectorize of its own; docs/workers.md says how it gets one: "
    "vectorize-stores wrangler DIR"
)
_D1_OF_ITS_OWN: Final = (
    'wrangler dev has a D1 of its own, unless the configuration says "remote": true of the '
    "database; without that the binding works"
)
_STATUS_OF: Final = {3000: 404, 3005: 410, 10000: 403, 40041: 429}
_REFUSALS: Final = (range(1_000, 4_000), range(40_000, 50_000))
"""Codes of the two families of the service; any other is of what stands before it."""


def vectorize_error(op: Op[Any], thrown: Exception) -> VectorizeError:
    """The error of a call of ``env.VECTORIZE`` that threw."""
    said = in_words(thrown)
    refusal = _VECTORIZE.search(said)
    if refusal is None:
        return _of_the_worker(op, said, _NO_VECTORIZE)
    code, message = refusal.groups()
    if code is not None:
        errors = (ApiMessage(int(code), one_line(message)),)
        return error_from_answer(str(op), _status_of(int(code)), errors)
    if status := _STATUS.match(message):
        return error_from_answer(str(op), int(status[1]), ())
    # Refusals have a code; without, something before the service has failed.
    return error_from_answer(str(op), 500, (ApiMessage(None, one_line(message)),))


def _status_of(code: int) -> int:
    """The status over REST: a binding tells only the code, if there is one."""
    return _STATUS_OF.get(code, 400 if any(code in some for some in _REFUSALS) else 500)


def d1_error(op: Op[Any], thrown: Exception) -> VectorizeError:
    """The error of a call of ``env.DB`` that threw."""
    said = in_words(thrown)
    refusal = _D1.search(said)
    if refusal is None:
        return _of_the_worker(op, said, _D1_OF_ITS_OWN)
    kind, message = refusal[1], one_line(refusal[2])
    if _NOT_JSON in message:
        return _of_the_worker(op, message, _D1_OF_ITS_OWN)
    if status := _STATUS.match(message):
        return error_from_answer(str(op), int(status[1]), ())
    passes = _SQLITE_FAILS if "SQLITE_" in message else _D1_FAILS
    if kind in _D1_ITSELF and passes.search(message):
        return error_from_answer(str(op), 500, (ApiMessage(None, message),))
    return error_from_answer(str(op), 400, (ApiMessage(_SQL_ERROR, message),))


def _of_the_worker(op: Op[Any], said: str, instead_of_remote: str) -> VectorizeError:
    """What did not come of the service. Only what may pass is a `ConnectionFailedError`."""
    said = one_line(said)
    if _NOT_JSON in said:
        return UnexpectedAnswerError(f"{op}: the answer is not what the API documents: {said}")
    if _SUBREQUESTS in said:
        return VectorizeError(
            f"{op}: {said}. Each call of a binding is one of the subrequests that a Worker's "
            "invocation may make; do less in one, or what takes many requests outside the Worker"
        )
    # Of these a write may have been carried out, but nothing changes when it is tried again.
    if _LIMIT.search(said):
        return ConnectionFailedError(
            f"{op}: {said}. A Worker has 128 MB, and so much time of a processor, for each request "
            "that it answers; do less in one, such as writes with max_batch_bytes=2_000_000",
            patience=0.0,
        )
    if _OTHER_REQUEST in said:
        return ConnectionFailedError(
            f"{op}: {said}. A call of a binding is awaited by the request that began it: keep "
            "stores between requests, but no tasks or answers",
            patience=0.0,
        )
    if _REMOTE in said:
        return ConfigurationError(f"{op}: {said}. {instead_of_remote}")
    if _MISTAKE.search(said):
        return ConfigurationError(
            f"{op}: the binding refuses the call: {said}. docs/workers.md says what it takes"
        )
    return ConnectionFailedError(f"{op}: the binding failed: {said}", patience=_PATIENCE)
