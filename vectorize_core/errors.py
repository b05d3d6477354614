"""Every error of this library; in parentheses what else it is.

VectorizeError
    ConfigurationError (ValueError)
    InvalidInputError (ValueError)
        InvalidVectorError
            OversizedError
        InvalidFilterError
            UnindexedPropertyError
                PartialIndexError
        TooManyRequestsNeededError
        IncompleteAnswerError
        CheckpointMismatchError
    ApiError
        BadRequestError
            RecordRefusedError
        AuthenticationError
        NotFoundError
            IndexNotFoundError
        IndexExistsError
        RateLimitError
        ServerError
        EngineError
        UnsupportedByBindingError (UnsupportedCallError)
    ConnectionFailedError
        RequestTimeoutError
    UnexpectedAnswerError
    PartialWriteError
    LateRequestError
    WaitTimeoutError (TimeoutError)
    IndexReplacedError
    IndexDamagedError
    StorageError
    RecordsDifferError
    MissingTextError
    UnreadableRecordError
    TenantViewError (AttributeError)
    UnsupportedCallError
PendingWritesWarning (UserWarning)
NotPersistedWarning (UserWarning)
PartialIndexWarning (UserWarning)
TextIndexWarning (UserWarning)
RequestLimitWarning (UserWarning)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from reprlib import Repr
from typing import Any, Final, NamedTuple


class VectorizeError(Exception):
    """Any error of this library."""


class ConfigurationError(VectorizeError, ValueError):
    """A client or a store cannot be built from these arguments."""


class InvalidInputError(VectorizeError, ValueError):
    """The service would refuse this input, or misread it silently. Nothing was sent."""


class InvalidVectorError(InvalidInputError):
    """A record cannot be stored as it is; the message names it and the fix."""


class OversizedError(InvalidVectorError):
    """A record's metadata, text included, is larger than Vectorize allows."""


class InvalidFilterError(InvalidInputError):
    """A filter is malformed; the message names the place and the operator.

    ``place`` is that place, such as ``$or[1].year.$gte``, empty for the filter as a whole; of an
    `UnindexedPropertyError` it is the property. None where it is not known.
    """

    def __init__(self, message: str, *, place: str | None = None) -> None:
        super().__init__(message)
        self.place = place


class UnindexedPropertyError(InvalidFilterError):
    """A filter names a property without a metadata index: the service would find nothing."""


class PartialIndexError(UnindexedPropertyError):
    """A metadata or text index lacks older vectors, so an answer would be incomplete."""


class TooManyRequestsNeededError(InvalidInputError):
    """A read would take ``needed`` requests (an estimate); only ``allowed`` are permitted.

    For a tenant's view ``needed`` is no estimate, but ``allowed`` and one more: how many it takes
    may depend on the records of others.
    """

    def __init__(self, message: str, *, needed: int, allowed: int) -> None:
        super().__init__(message)
        self.needed = needed
        self.allowed = allowed


class IncompleteAnswerError(InvalidInputError):
    """Some matches cannot be found, so none are returned."""


class CheckpointMismatchError(InvalidInputError):
    """``resume=`` is of a write to another index, or of another input. Nothing was sent."""


@dataclass(frozen=True, slots=True)
class ApiMessage:
    """One entry of the ``errors`` or ``messages`` of an answer."""

    code: int | None
    message: str
    documentation_url: str | None = None
    pointer: str | None = None

    def __str__(self) -> str:
        text = self.message if self.code is None else f"{self.message} [code {self.code}]"
        if self.pointer:
            text += f" at {self.pointer}"
        return f"{text}, see {self.documentation_url}" if self.documentation_url else text


class ApiError(VectorizeError):
    """The service refused an operation.

    ``status`` is the HTTP status, ``errors`` every error in the answer. ``code``, ``message``,
    ``documentation_url`` and ``pointer`` are those of the first one. ``request_id`` is the
    ``cf-ray`` that Cloudflare's support asks for. ``retry_after`` is in seconds, None if the
    service did not say. ``rate_limit`` holds the headers on what is left of the rate limit.
    """

    def __init__(
        self,
        operation: str,
        status: int,
        errors: Sequence[ApiMessage] = (),
        *,
        request_id: str | None = None,
        retry_after: float | None = None,
        rate_limit: Mapping[str, str] | None = None,
    ) -> None:
        self.operation = operation
        self.status = status
        self.errors = tuple(errors)
        self.request_id = request_id
        self.retry_after = retry_after
        self.rate_limit = rate_limit if rate_limit is not None else {}
        first = self.errors[0] if self.errors else ApiMessage(None, "no error message was given")
        self.code = first.code
        self.message = first.message
        self.documentation_url = first.documentation_url
        self.pointer = first.pointer
        self._hint = _PERMISSIONS if isinstance(self, AuthenticationError) else ""
        super().__init__(operation, status, errors)

    def add_hint(self, hint: str) -> None:
        """Say at the end of the message what to do."""
        self._hint = hint

    def __str__(self) -> str:
        messages = "; ".join(map(str, self.errors)) or self.message
        text = f"{self.operation}: HTTP {self.status}: {messages}"
        if self.request_id:
            text += f" (request id {self.request_id})"
        fix = self._hint or _CODE_FIXES.get(self.code or 0)
        return f"{text}. {fix}" if fix else text


class BadRequestError(ApiError):
    """The service found the request invalid (400)."""


class RecordRefusedError(BadRequestError):
    """The service refused the record ``record_id``, at ``position`` in the input.

    The other records of its request were written. Where the id was ``made_up`` by the store, which
    its user does not know, the message names the position only.
    """

    def __init__(
        self, refusal: ApiError, record_id: str, position: int, made_up: bool = False
    ) -> None:
        super().__init__(
            refusal.operation, refusal.status, refusal.errors, request_id=refusal.request_id
        )
        self.record_id = record_id
        self.position = position
        self.made_up = made_up
        self.args = (refusal, record_id, position, made_up)

    def __str__(self) -> str:
        name = "record at" if self.made_up else f"record {self.record_id!r},"
        return f"{name} position {self.position}: {super().__str__()}"


class AuthenticationError(ApiError):
    """The credentials were not accepted (401, 403)."""


class NotFoundError(ApiError):
    """Nothing exists at that address (404)."""


class IndexNotFoundError(NotFoundError):
    """The index does not exist (3000), or was deleted (410, 3005)."""


class IndexExistsError(ApiError):
    """An index of that name already exists (3002); of LynseDB, a collection."""


class RateLimitError(ApiError):
    """Too many requests (429, or code 40041)."""


class ServerError(ApiError):
    """The service failed (5xx, 408). The operation may or may not have been carried out."""


class EngineError(ApiError):
    """LynseDB failed, and says why (500): it would fail in the same way again.

    A write may have been carried out in part.
    """


class ConnectionFailedError(VectorizeError):
    """No answer: the connection failed, broke or timed out.

    ``sent`` is False if the request cannot have reached the service. Otherwise the operation may
    have been carried out and only its answer lost. ``patience`` is for how many seconds it makes
    sense to try again; None if nothing is known about that.
    """

    def __init__(self, message: str, *, sent: bool = True, patience: float | None = None) -> None:
        super().__init__(message)
        self.sent = sent
        self.patience = patience


class RequestTimeoutError(ConnectionFailedError):
    """No answer within the timeout."""


class UnexpectedAnswerError(VectorizeError):
    """The answer does not have the form that the Vectorize API documents."""


class PartialWriteError(VectorizeError):
    """A write ended early; every input position is in one of three lists.

    ``written``: accepted by the service. ``unknown``: sent, but the answer was lost; it is safe to
    upsert these again. ``not_written``: not accepted; ``causes`` says why. Of an iterator only
    ``consumed`` items were read; the others are in no list. ``ids`` are those of the records read,
    if the write generated or would have returned them. The same call with ``resume=error``
    continues where this one ended; ``progress`` is what it needs to know for that.
    """

    def __init__(
        self,
        written: Sequence[int],
        unknown: Sequence[int],
        not_written: Sequence[int],
        causes: Sequence[BaseException],
        mutation_ids: Sequence[str],
        *,
        ids: Collection[str] = (),
        progress: object = None,
    ) -> None:
        self.progress = progress
        self.written = written
        self.unknown = unknown
        self.not_written = not_written
        self.causes = tuple(causes)
        self.mutation_ids = tuple(mutation_ids)
        self.ids = tuple(ids)
        self.consumed = len(self.written) + len(self.unknown) + len(self.not_written)
        super().__init__(written, unknown, not_written, causes, mutation_ids)

    def __str__(self) -> str:
        cause = f" First cause: {in_words(self.causes[0]).rstrip('.')}." if self.causes else ""
        return (
            f"{len(self.written)} of {self.consumed} records were written, {len(self.unknown)} "
            f"may have been, {len(self.not_written)} were not.{cause} Their positions in the "
            "input are in .written, .unknown and .not_written. Upserting the last two again is "
            "safe: give the same input with resume= this error"
        )


class LateRequestError(VectorizeError):
    """A write was accepted, but an earlier one of the same ids may still arrive and undo it.

    That one got no answer. Positions written so are in `PartialWriteError.unknown`.
    """


class WaitTimeoutError(VectorizeError, TimeoutError):
    """A write was accepted but not processed or visible in time."""


class IndexReplacedError(VectorizeError):
    """The index was deleted and created again during a wait: earlier writes are gone."""


class IndexDamagedError(VectorizeError):
    """A LynseDB has lost records of an index, or cannot read it any more; nothing is returned.

    To restore a snapshot helps, or to delete the index and write it again.
    """


class StorageError(VectorizeError):
    """A directory or file cannot be used: full, read-only, locked, damaged, replaced, closed."""


class RecordsDifferError(VectorizeError):
    """Records that were moved are not there as they were; ``ids`` are some of them."""

    def __init__(self, message: str, *, ids: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.ids = tuple(ids)


class PendingWritesWarning(UserWarning):
    """A search found nothing, but this client's own last write is not processed yet."""


class NotPersistedWarning(UserWarning):
    """What was persisted does not hold the vectors, since they are in memory."""


class PartialIndexWarning(UserWarning):
    """A search used a metadata index that does not hold vectors that are older."""


class TextIndexWarning(UserWarning):
    """Records are written which the text index of their index will not have."""


class RequestLimitWarning(UserWarning):
    """An embedded Vectorize did what takes more requests than a call to Cloudflare may take."""


class MissingTextError(VectorizeError):
    """A vector holds no text under the store's ``text_key``."""


class UnreadableRecordError(VectorizeError):
    """A vector was written in a layout that is newer than this version of the library."""


class TenantViewError(VectorizeError, AttributeError):
    """A tenant's view was asked for what reaches all namespaces, such as its client."""


class UnsupportedCallError(VectorizeError):
    """The server, or a Worker's binding, has no such call. Nothing was sent."""


class UnsupportedByBindingError(ApiError, UnsupportedCallError):
    """A gateway has no such call, as a Worker's binding has none (49997); the REST API has it."""


_SHORT: Final = Repr()
_SHORT.maxstring = _SHORT.maxother = 60
_SHORT.maxlevel = 3


class At(NamedTuple):
    """Which record an error is about, in words: by its id and its position in the input.

    ``name`` is None where the id was made up a moment ago.
    """

    name: Any
    position: int | None = None
    kind: str = "vector"

    def __str__(self) -> str:
        if self.name is None:
            where = "" if self.position is None else f" at position {self.position}"
            return f"{self.kind}{where}"
        name = repr(self.name) if isinstance(self.name, str) else shown(self.name)
        where = "" if self.position is None else f"position {self.position}, "
        return f"{where}{self.kind} {name}"


def in_words(error: BaseException) -> str:
    """What an error says; behind the name of its class, if it is not one of this library.

    Many say nothing by themselves: ``TimeoutError()``, ``KeyError('a')``.
    """
    try:
        said = str(error).strip()
    except Exception:  # Of a class of the user's.
        said = ""
    if isinstance(error, VectorizeError) and said:
        return said
    kind = type(error).__name__
    return f"{kind}: {said}" if said else kind


def key_in_words(key: Any) -> str:
    """A key as an error shows it, behind the name of what has it: ``['year']``."""
    try:
        return f"[{_SHORT.repr(key)}]"
    except ValueError:
        return f"[{shown(key)}]"


def shown(value: Any) -> str:
    """An argument as an error shows it: one short line, with its type."""
    if value is None or isinstance(value, bool):
        return repr(value)
    kind = type(value).__name__
    try:
        return f"{' '.join(_SHORT.repr(value).split())} ({kind})"
    except ValueError:  # Python writes no integer of thousands of digits.
        return f"a very large {kind}"


_PERMISSIONS = (
    "Check the API token and that it has Vectorize permissions for this account (and D1 "
    "permissions for texts there)"
)
_CODE_FIXES = {
    1005: "The body must be sent as application/x-ndjson",
    3000: "Create it first: client.create_index(name, dimensions=..., metric=...)",
    3002: "Pass exist_ok=True to accept an index with the same configuration",
    3005: "It was deleted; create it again, or wait until the deletion has finished",
}


def error_from_answer(
    operation: str,
    status: int,
    errors: Sequence[ApiMessage],
    *,
    request_id: str | None = None,
    retry_after: float | None = None,
    rate_limit: Mapping[str, str] | None = None,
) -> ApiError:
    """The error for an unsuccessful answer. Its codes take precedence over its status."""
    codes = {error.code for error in errors}
    kind: type[ApiError]
    if 40041 in codes or status == 429:
        kind = RateLimitError
    elif 49997 in codes:
        kind = UnsupportedByBindingError
    elif codes & {3000, 3005} or status == 410:
        kind = IndexNotFoundError
    elif 3002 in codes:
        kind = IndexExistsError
    elif status in (401, 403) or (10000 in codes and status < 500):
        kind = AuthenticationError
    elif status == 404:
        kind = NotFoundError
    elif status >= 500 or status == 408:
        kind = ServerError
    elif status == 400:
        kind = BadRequestError
    else:
        kind = ApiError
    return kind(
        operation,
        status,
        errors,
        request_id=request_id,
        retry_after=retry_after,
        rate_limit=rate_limit,
    )
