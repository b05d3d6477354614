"""A store compared with a document store: which documents it lacks, has beyond it, or otherwise."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from contextlib import aclosing
from functools import partial
from typing import Any, Final, Literal, Unpack

from llama_index.core.schema import BaseNode, NodeRelationship, RelatedNodeInfo
from llama_index.core.storage.docstore import BaseDocumentStore

from llama_index_vectorize.nodes import to_node
from llama_index_vectorize.options import CompareOptions
from vectorize_core.api.validation import flag
from vectorize_core.errors import InvalidInputError, shown
from vectorize_core.records.comparison import Comparison
from vectorize_core.records.deleting import delete_matching
from vectorize_core.records.reading import iter_found
from vectorize_core.records.store import RecordStore
from vectorize_core.texts.store import parts
from vectorize_core.transport.io import Io

_AT_ONCE: Final = 500
"""Documents that are deleted at once."""
_NEIGHBOURS: Final = (NodeRelationship.PREVIOUS, NodeRelationship.NEXT)


async def compare(
    io: Io,
    records: RecordStore,
    docstore: BaseDocumentStore,
    *,
    repair: bool | Literal["all"] = False,
    **options: Unpack[CompareOptions],
) -> Comparison:
    """How the store differs from a document store; see `VectorizeVectorStore.compare`."""
    if repair != "all":
        flag("repair, if not 'all',", repair)
    if not isinstance(docstore, BaseDocumentStore):
        raise InvalidInputError(f"docstore is a BaseDocumentStore; got {shown(docstore)}")
    documents = _Documents(io, docstore)
    await documents.read()
    # A text that is gone is a change, and no reason to end.
    lenient = dataclasses.replace(records, on_missing_text="empty")
    async with aclosing(iter_found(io, lenient, **options)) as every:
        async for record, _, _ in every:
            is_whole = record.text_name is None or bool(record.text)
            await documents.note(to_node(record), is_whole=is_whole)
    found = documents.comparison(repaired=bool(repair))
    if repair and not found.same:
        if not documents.hashes and not documents.nodes:
            raise InvalidInputError(
                "docstore lists no document, so a repair would delete every node; clear() does that"
            )
        again = [*found.changed, *(found.incomplete if repair == "all" else ())]
        for refs in parts([*found.extra, *again], _AT_ONCE):
            await delete_matching(io, records, refs=refs, namespace=options.get("namespace"))
        await documents.forget([*found.missing, *again])
    return found


class _Documents:
    """The documents that a document store lists, and what the nodes of a store say of them."""

    def __init__(self, io: Io, docstore: BaseDocumentStore) -> None:
        self.hashes: dict[str, str] = {}
        self.nodes: dict[str, set[str]] = {}
        """The nodes of documents, where it has these."""
        self._io = io
        self._docstore = docstore
        self._document_of: dict[str, str] = {}
        self._unhashed: set[str] = set()
        self._seen: Counter[str] = Counter()
        """How many of its listed nodes each document has in the store that is in it at all."""
        self._strangers: set[str] = set()
        """Documents with nodes that are not listed."""
        self._extra: set[str] = set()
        self._changed: set[str] = set()
        self._stored: set[str] = set()
        """Nodes that are noted, of documents whose nodes are not listed."""
        self._lacking: dict[str, str] = {}
        """Neighbours that these name and that are not noted, each with its document."""

    async def read(self) -> None:
        """Read what is listed."""
        by_hash = await self._call("get_all_document_hashes")
        self.hashes = {name: its_hash for its_hash, name in by_hash.items()}
        for name, info in (await self._call("get_all_ref_doc_info") or {}).items():
            self.nodes[name] = {*info.node_ids}
            self._document_of |= dict.fromkeys(info.node_ids, name)

    async def note(self, node: BaseNode, *, is_whole: bool) -> None:
        """Take account of a node of the store, which is whole unless its text is gone."""
        source = node.relationships.get(NodeRelationship.SOURCE)
        if isinstance(source, RelatedNodeInfo):
            name, its_hash = source.node_id, source.hash
        else:
            name, its_hash = node.node_id, node.hash
        if not await self._is_listed(name):
            self._extra.add(name)
            return
        self._note_neighbours(name, node)
        is_listed = self._document_of.get(node.node_id) == name
        self._seen[name] += is_listed
        if not is_listed:
            self._strangers.add(name)
        elif await self._hash_of(node.node_id) not in (None, node.hash):
            self._changed.add(name)
        is_same = its_hash is None or await self._hash_of(name) in (None, its_hash)
        if not (is_whole and is_same):
            self._changed.add(name)

    def _note_neighbours(self, name: str, node: BaseNode) -> None:
        """Parsers name these among the nodes that they make of one document."""
        if name in self.nodes or name == node.node_id:
            return
        self._stored.add(node.node_id)
        self._lacking.pop(node.node_id, None)
        for relationship in _NEIGHBOURS:
            neighbour = node.relationships.get(relationship)
            if isinstance(neighbour, RelatedNodeInfo) and neighbour.node_id not in self._stored:
                self._lacking[neighbour.node_id] = name

    async def _is_listed(self, name: str) -> bool:
        return name in self.nodes or await self._hash_of(name) is not None

    async def _hash_of(self, name: str) -> str | None:
        """The hash of a document or node; of those that are the same, one is among all hashes."""
        if name not in self.hashes and name not in self._unhashed:
            its_hash = await self._call("get_document_hash", name)
            if its_hash is None:
                self._unhashed.add(name)
            else:
                self.hashes[name] = its_hash
        return self.hashes.get(name)

    def comparison(self, *, repaired: bool) -> Comparison:
        """What differs, when all nodes are noted."""
        listed = (self.hashes.keys() | self.nodes.keys()) - self._document_of.keys()
        # What is split after it was listed has other nodes.
        partly = {
            name
            for name, nodes in self.nodes.items()
            if self._seen[name] and (self._seen[name] < len(nodes) or name in self._strangers)
        }
        changed = self._changed | partly
        return Comparison(
            missing=tuple(sorted(listed - self._seen.keys())),
            extra=tuple(sorted(self._extra)),
            changed=tuple(sorted(changed)),
            repaired=repaired,
            incomplete=tuple(sorted({*self._lacking.values()} - changed)),
        )

    async def forget(self, names: Iterable[str]) -> None:
        """Delete documents from the document store, so that they are taken for new ones."""
        for name in names:
            await self._call("delete_ref_doc", name, raise_error=False)
            await self._call("delete_document", name, raise_error=False)

    async def _call(self, method: str, *args: Any, **options: Any) -> Any:
        blocking = getattr(self._docstore, method)
        awaited = getattr(self._docstore, f"a{method}")
        return await self._io.either(
            partial(blocking, *args, **options), partial(awaited, *args, **options)
        )
