"""How errors call things: users of each framework know them by other names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Wording:
    """How errors call things in one framework; by default, as users of `VectorizeClient` do.

    - ``index``: how the index of that name is reached.
    - ``maker``: what makes metadata indexes of it.
    - ``wait``: the method that waits for writes.
    - ``filter``: the argument of filters.
    - ``late_indexes``: whether a metadata index can be made when there are vectors already.
    - ``declared``: whether the user names the metadata indexes, or who set a gateway up.
    - ``hash_ids``: how to get shorter ids.
    - ``operators``: those of filters that have other names.
    - ``elsewhere``: what is often taken for a property of the metadata, with where it stands and
      how it is asked for.
    """

    index: str = "client.index({name!r})"
    maker: str = "client.index({name!r})"
    wait: str = "wait()"
    filter: str = "filter="
    late_indexes: bool = True
    declared: bool = False
    hash_ids: str = "such as hashlib.sha256(id.encode()).hexdigest()"
    operators: Mapping[str, str] = field(default_factory=dict)
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    def to_index(self, name: str, property_name: str, index_type: str) -> str:
        """What to do where an index of this name has no metadata index on a property."""
        if self.declared:
            return (
                f"if the index has one, give metadata_indexes={{{property_name}: {index_type}}} "
                "with binding=, or name it in INDEXES of a gateway, for a Worker's binding does "
                "not list them; if it has none, make it over REST: "
                f"VectorizeClient().index({name!r}).create_metadata_index({property_name}, "
                f"{index_type}) and, once it is live, reindex_metadata()"
            )
        if not self.late_indexes:
            return (
                "create another index with it in metadata_indexes=, and copy the records "
                "(vectorize_core.moving.copy_records): here it has to come before them"
            )
        return (
            f"call {self.maker.format(name=name)}.create_metadata_index({property_name}, "
            f"{index_type}) and, once it is live, reindex_metadata()"
        )

    def of_view(self) -> Wording:
        """Those of a user of a tenant's view, which has no client and takes no ``namespace=``."""
        elsewhere = {name: said for name, said in self.elsewhere.items() if name != "namespace"}
        return replace(self, index=DEFAULT.index, maker=DEFAULT.maker, elsewhere=elsewhere)


DEFAULT = Wording()
