"""Faults: the errors that the service answers with.

Texts and codes are exactly those of recorded answers of the real service. If none was recorded,
the text begins with `MARK` and the code is `UNKNOWN_CODE`, and no client should rely on them. The
table of what was recorded, and by whom, is in tests/server/recorded.py.
"""

from __future__ import annotations

from typing import Final

from vectorize_core import limits

MARK: Final = "embedded Vectorize: "
"""Begins every text that is ours and not Cloudflare's."""
UNKNOWN_CODE: Final = 49999
"""Used if Cloudflare's own code is not known; Cloudflare is not known to use it."""
UNPARSABLE_VECTORS: Final = 40023
_UPSTREAM: Final = "vectorize.upstream_error - "


class ServiceFault(Exception):  # noqa: N818 (an answer of the service)
    """An error of the service: HTTP ``status``, Cloudflare's ``code`` and ``message``.

    ``detail`` is for the log: what is wrong in our words, where Cloudflare's do not tell.
    """

    def __init__(self, status: int, code: int, message: str, detail: str = "") -> None:
        super().__init__(status, code, message, detail)
        self.status = status
        self.code = code
        self.message = message
        self.detail = detail

    def __str__(self) -> str:
        detail = f": {self.detail}" if self.detail else ""
        return f"{self.message} [status {self.status}, code {self.code}]{detail}"


def no_route(status: int = 404) -> ServiceFault:
    """The API has no such path or method."""
    return ServiceFault(status, 7003, "No route for the URI.")


def index_not_found(name: str) -> ServiceFault:
    """The name was never used."""
    return ServiceFault(404, 3000, f'vectorize.index.not_found - Index name "{name}"')


def index_deleted(name: str) -> ServiceFault:
    """The name was used, and its index deleted."""
    return ServiceFault(410, 3005, f'vectorize.index.deleted - Index name "{name}"')


def index_exists(name: str) -> ServiceFault:
    """The name is in use."""
    return ServiceFault(400, 3002, f'vectorize.index.duplicate_name - Index name "{name}"')


def no_config() -> ServiceFault:
    """A new index without a configuration."""
    return ServiceFault(400, 3003, "vectorize.index.invalid_config - Config must be provided")


def dimensions_out_of_range() -> ServiceFault:
    """A new index with too few or too many dimensions."""
    return ServiceFault(
        400,
        3003,
        "vectorize.index.invalid_config - Dimensions must be in range: "
        f"[{limits.MIN_DIMENSIONS}, {limits.MAX_DIMENSIONS}]",
    )


def query_dimensions(expected: int, got: int) -> ServiceFault:
    """A query vector of another length than the index has."""
    return ServiceFault(
        400,
        40006,
        f"invalid query vector, expected {expected} dimensions, and got {got} dimensions",
    )


def too_many_ids(most: int, got: int) -> ServiceFault:
    """Too many ids in a get or a delete."""
    return ServiceFault(400, 40007, f"too many ids in payload; max id count is {most}, got {got}")


def id_too_long(size: int) -> ServiceFault:
    """An id of ``size`` bytes."""
    return ServiceFault(
        400, 40008, f"id too long; max is {limits.MAX_ID_BYTES} bytes, got {size} bytes"
    )


def vector_dimensions(vector_id: str, expected: int, got: int) -> ServiceFault:
    """A vector of another length than the index has."""
    return ServiceFault(
        400,
        40012,
        f'invalid vector for id="{vector_id}", '
        f"expected {expected} dimensions, and got {got} dimensions",
    )


def oversized_metadata(vector_id: str, size: int) -> ServiceFault:
    """Metadata that takes ``size`` bytes as compact JSON."""
    return ServiceFault(
        400,
        40016,
        f'oversized metadata for vector id="{vector_id}"; the compact JSON representation of the '
        f"metadata must not exceed {limits.MAX_METADATA_BYTES} bytes, got {size} bytes",
    )


def unparsable_vectors(verb: str, line: int | None, reason: str) -> ServiceFault:
    """Line ``line`` (from 0) of an insert or upsert is no vector; ``reason`` is our text.

    None for a write of a binding that is one JSON object, of which no line is named.
    """
    prefix, form, where = ("", "json", "None") if line is None else (_UPSTREAM, "ndjson", "Some")
    where += "" if line is None else f"({line})"
    text = f"failed to parse {verb} vectors request in {form} format: "
    text += f"line {where} was not expected format"
    return ServiceFault(400, UNPARSABLE_VECTORS, prefix + text, reason)


def without_prefix(fault: ServiceFault) -> ServiceFault:
    """As recorded of forms and of bindings; a body that is NDJSON itself has a prefix."""
    text = fault.message.removeprefix(_UPSTREAM)
    return ServiceFault(fault.status, fault.code, text, fault.detail)


def top_k_with_payload(top_k: int) -> ServiceFault:
    """More matches than a query with values or all metadata may return."""
    return ServiceFault(
        400,
        40025,
        "with returnValues=true or returnMetadata=all, max top K is "
        f"{limits.MAX_TOP_K_WITH_PAYLOAD}, but got {top_k}; for a top K up to "
        f"{limits.MAX_TOP_K}, retry with returnValues=false and returnMetadata=indexed",
    )


def no_json_type() -> ServiceFault:
    """A body without the content type of JSON."""
    return ServiceFault(400, 40026, "Expected request with `Content-Type: application/json`")


def boolean_for_metadata() -> ServiceFault:
    """``returnMetadata`` is a boolean, as it was in the first version of the API."""
    text = "Failed to parse the request body as JSON: returnMetadata: expected value"
    return ServiceFault(400, 40026, text)


def unknown_cursor() -> ServiceFault:
    """A cursor of a listing that is none, or is not known any more."""
    return ServiceFault(400, 40052, "List vectors cursor appears to be corrupted")


def unparsable_body(field: str, reason: str) -> ServiceFault:
    """A field of a JSON body is missing or of the wrong type."""
    return refused(f"{field}: {reason}")


def refused(reason: str, *, status: int = 400) -> ServiceFault:
    """Any other refusal, whose code and text were never recorded."""
    return ServiceFault(status, UNKNOWN_CODE, MARK + reason)
