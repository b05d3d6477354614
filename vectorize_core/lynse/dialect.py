"""`Dialect`: the words of one server. Those of LynseDB's page are of 0.2 and 0.3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from vectorize_core.api.parts import a_text, an_object
from vectorize_core.errors import UnsupportedCallError
from vectorize_core.lynse.models import Id

_OTHER_NAMES: Final[Mapping[str, str]] = {
    "/add_item": "/add",
    "/bulk_add_items": "/add",
    "/upsert_items": "/upsert",
    "/delete_items": "/delete",
    "/restore_items": "/restore",
    "/text_search": "/bm25_search",
    "/update_description": "/update_collection_description",
}
"""What a path of the page is called where that path does not exist."""
_MOST_ID: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Dialect:
    """The paths that a server has; ``version`` is None for a coordinator, which tells none."""

    version: str | None
    paths: frozenset[str]
    is_coordinator: bool = False

    @property
    def takes_rows(self) -> bool:
        """Whether writes are ``{ids, vectors, fields}``, and ids texts too: so since 0.4."""
        return "/add" in self.paths

    def path(self, path: str) -> str:
        """What a path of the page is called here; raises `UnsupportedCallError`."""
        for name in (path, _OTHER_NAMES.get(path)):
            if name in self.paths:
                return name
        raise UnsupportedCallError(f"{self} has no {path}")

    def check_ids(self, ids: Sequence[Id]) -> None:
        """Refuse texts, and numbers that would come back negative, where a server takes neither."""
        if not self.takes_rows and any(type(one) is not int or one > _MOST_ID for one in ids):
            raise UnsupportedCallError(
                f"{self} takes whole numbers up to 2**63 - 1 as ids, no texts: 0.4 and later take "
                "both, and larger ones"
            )

    def check_query(self, where: str | None, filter_ids: Sequence[Id] | None) -> None:
        """Refuse to ask for all records where a server takes their places for their ids."""
        if not self.takes_rows and where is None and filter_ids is None:
            raise UnsupportedCallError(
                f"{self} answers a query of all records with a record 0 that does not exist, and "
                "without the last: give where= or filter_ids=, or use head()"
            )

    def __str__(self) -> str:
        return "a coordinator of LynseDB" if self.is_coordinator else f"LynseDB {self.version}"


def read_openapi(answer: Any) -> Dialect:
    """The dialect that ``/openapi.json`` tells of."""
    found = an_object(answer, "the document")
    version = an_object(found.get("info"), "info").get("version")
    paths = an_object(found.get("paths"), "paths")
    return Dialect(a_text(version, "info.version"), frozenset(paths))


COORDINATOR: Final = Dialect(
    None,
    frozenset(
        {
            *("/list_databases", "/create_database", "/drop_database", "/database_exists"),
            *("/show_collections", "/required_collection", "/drop_collection"),
            *("/is_collection_exists", "/get_collection_config", "/collection_shape", "/stats"),
            *("/update_collection_description", "/close_collection"),
            *("/add", "/upsert", "/bulk_add_binary", "/delete", "/restore", "/list_deleted_ids"),
            *("/commit", "/flush", "/checkpoint", "/compact"),
            *("/build_index", "/remove_index", "/build_vector_field_index"),
            *("/remove_vector_field_index", "/create_vector_field", "/list_vector_fields"),
            *("/add_named_vectors", "/add_sparse_vectors"),
            *("/search", "/search_binary", "/batch_search", "/batch_search_binary"),
            *("/search_range", "/search_profile", "/bm25_search", "/sparse_search"),
            *("/hybrid_search", "/query", "/query_vectors", "/head", "/head_binary", "/tail"),
            *("/tail_binary", "/read_by_only_id", "/list_fields", "/index_mode"),
            *("/is_id_exists", "/max_id", "/snapshot_collection", "/export_collection"),
        }
    ),
    is_coordinator=True,
)
"""A coordinator (of 0.9) has no ``/openapi.json``."""
NEWEST: Final = Dialect("0.9.0", COORDINATOR.paths | {"/text_search", "/update_description"})
