"""What a LlamaIndex store is made of: its settings, which are fields, and its connection.

Fields are what LlamaIndex writes down (`to_dict`, `repr`, pickles), so none holds a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from llama_index.core.bridge.pydantic import BaseModel, Field, PrivateAttr
from llama_index.core.vector_stores.types import BasePydanticVectorStore

from vectorize_core import layout
from vectorize_core.models import IndexType, Metric
from vectorize_core.records.store import OnOversize, RecordStore
from vectorize_core.state.waiting import DEFAULT_WAIT_TIMEOUT
from vectorize_core.texts.reading import OnMissingText
from vectorize_core.transport.closing import AsyncClosing, SyncClosing
from vectorize_core.transport.io import AsyncIo, SyncIo

NodeLayout = Literal["compact", "stock"]
_ALWAYS = ("stores_text", "is_embedding_query", "flat_metadata", "class_name")


class Configured(BasePydanticVectorStore, SyncClosing, AsyncClosing):
    """Settings, and a connection that is made again where a pickled store is loaded.

    The secrets of a loaded store are those of the environment. A copy shares the connection.
    """

    stores_text: bool = True
    is_embedding_query: bool = True
    flat_metadata: bool = False

    index_name: str = Field(description="The index to work on.")
    path: str | None = Field(default=None, description="Where an embedded Vectorize is kept.")
    account_id: str | None = Field(default=None, description="The Cloudflare account.")
    base_url: str | None = Field(default=None, description="The address of its API.")
    namespace: str | None = Field(
        default=None,
        description="Where nodes are written and searched; None searches all namespaces.",
    )
    bound: bool = Field(
        default=False, description="Whether the namespace is a tenant's: see with_namespace()."
    )
    text_key: str = Field(
        default=layout.DEFAULT_TEXT_KEY, description="The metadata key that holds the text."
    )
    on_oversize: OnOversize = Field(
        default="error", description="What becomes of a text that has nowhere to go."
    )
    on_missing_text: OnMissingText = Field(
        default="error", description="What a node without a text is."
    )
    node_layout: NodeLayout = Field(
        default="compact", description="How nodes are written; both layouts are read."
    )
    create_index: bool | None = Field(
        default=None, description="Whether the first write creates a missing index."
    )
    metric: Metric | None = Field(default=None, description="Of an index that is created.")
    metadata_indexes: Mapping[str, IndexType] | None = Field(
        default=None, description="Filterable properties of an index that is created."
    )
    batch_size: int | None = Field(default=None, description="Nodes sent at a time (500).")
    show_progress: bool = Field(default=False, description="Whether adding draws a bar.")
    wait: bool | Literal["processed", "visible"] = Field(
        default=False, description="What writes wait for."
    )
    wait_timeout: float = Field(
        default=DEFAULT_WAIT_TIMEOUT, description="For how many seconds at most."
    )

    _records: RecordStore = PrivateAttr()
    _io: SyncIo = PrivateAttr()
    _async_io: AsyncIo = PrivateAttr()

    def _work_on(self, records: RecordStore) -> None:
        connection = records.index.located.connection
        self._records = records
        self._io = connection.io()
        self._async_io = connection.async_io()

    def with_namespace(self, namespace: str) -> Self:
        """A tenant's view of this store: it neither reads nor changes anything of another's.

        Tenants may use the same node ids: the view stores its nodes under digests of namespace and
        id, and returns them under their own. `TypeError` for ``namespace=`` in a call of the
        view. It uses this store's connection, which is this store's to close.
        """
        view = self.model_copy(update={"namespace": namespace, "bound": True})
        view._work_on(self._records.with_namespace(namespace))  # noqa: SLF001 - of our own class
        return view

    def close(self) -> None:
        """Close the connection, if it is the store's own; safe to call again."""
        self._records.close()

    async def aclose(self) -> None:
        """`close` both faces, awaited."""
        await self._records.aclose()

    @classmethod
    def from_dict(cls, data: dict[str, Any], **kwargs: Any) -> Self:
        """The store that `to_dict` described, with the secrets of the environment.

        What no field says is given again, such as ``texts=``.
        """
        settings = {name: value for name, value in data.items() if name not in _ALWAYS} | kwargs
        if not settings.pop("bound", False):
            return cls(**settings)
        view = cls(**{**settings, "namespace": None}).with_namespace(settings["namespace"])
        view._work_on(view._records.owning())  # noqa: SLF001 - of our own class
        return view

    def __getstate__(self) -> dict[str, Any]:
        # Not the base class's, which warns of what it cannot pickle, and leaves it out.
        state = BaseModel.__getstate__(self)
        return {**state, "__pydantic_private__": {"_records": self._records}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        BaseModel.__setstate__(self, state)
        self._work_on(self._records.owning())

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return self.__copy__()
