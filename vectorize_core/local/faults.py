"""Faults: the errors that the service answers with.

Texts and codes are exactly those of recorded answers of the real service. If none was recorded,
the text begins with `MARK` and the code is `UNKNOWN_CODE`, and no client should rely on them.
"""

from __future__ import annotations

from typing import Final

from vectorize_core import limits

MARK: Final = "embedded Vectorize: "
"""Begins every text, or part of a text, that is ours and not Cloudflare's."""
UNKNOWN_CODE: Final = 49999
"""Used if Cloudflare's own code is not known; Cloudflare is not known to use it."""


class ServiceFault(Exception):  # noqa: N818 (an answer of the service)
    """An error of the service: HTTP ``status``, Cloudflare's ``code`` and ``message``."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.message} [status {self.status}, code {self.code}]"


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


def invalid_config(reason: str) -> ServiceFault:
    """A bad configuration of a new index. The text is known, its code is not."""
    return ServiceFault(400, UNKNOWN_CODE, f"vectorize.index.invalid_config - {reason}")


def dimensions_out_of_range() -> ServiceFault:
    """A new index with too few or too many dimensions."""
    return invalid_config(
        f"Dimensions must be in range: [{limits.MIN_DIMENSIONS}, {limits.MAX_DIMENSIONS}]"
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


def unparsable_vectors(verb: str, line: int, reason: str) -> ServiceFault:
    """Line ``line`` (from 0) of an insert or upsert is no vector; ``reason`` is our text."""
    return ServiceFault(
        400,
        40023,
        f"vectorize.upstream_error - failed to parse {verb} vectors request in ndjson format: "
        f"line Some({line}) was not expected format ({MARK}{reason})",
    )


def top_k_with_payload(top_k: int) -> ServiceFault:
    """More matches than a query with values or all metadata may return."""
    return ServiceFault(
        400,
        40025,
        "with returnValues=true or returnMetadata=all, max top K is "
        f"{limits.MAX_TOP_K_WITH_PAYLOAD}, but got {top_k}; for a top K up to "
        f"{limits.MAX_TOP_K}, retry with returnValues=false and returnMetadata=indexed",
    )


def unparsable_body(field: str, reason: str) -> ServiceFault:
    """A field of a JSON body is missing or of the wrong type; ``reason`` is our text."""
    return ServiceFault(
        400, 40026, f"Failed to parse the request body as JSON: {field}: {MARK}{reason}"
    )


def refused(reason: str, *, status: int = 400) -> ServiceFault:
    """Any other refusal, whose code and text were never recorded."""
    return ServiceFault(status, UNKNOWN_CODE, MARK + reason)
