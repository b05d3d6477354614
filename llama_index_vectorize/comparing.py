"""A store compared with a document store: which documents it lacks, has beyond it, or otherwise."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from functools import partial
from typing import Any, Final, Literal, Unpack

from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageNode,
    IndexNode,
    NodeRelationship,
    RelatedNodeInfo,
)
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
from vectorize_core.transport.workers import aclosing

_AT_ONCE: Final = 500
"""Documents that are deleted at once."""
_NEIGHBOURS: Final = (NodeRelationship.PREVIOUS, NodeRelationship.NEXT)
_AWAITED: Final = ""
"""The hash of a document that is to be written again."""


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
    found = await documents.comparison()
    return await _repaired(io, records, documents, found, repair, options) if repair else found


async def _repaired(
    io: Io,
    records: RecordStore,
    documents: _Documents,
    found: Comparison,
    repair: bool | Literal["all"],
    options: CompareOptions,
) -> Comparison:
    """Delete nodes that are not listed, or that are sure to be written again.

    Of the document store nothing is deleted: where a document has no hash there, the pipeline takes
    it for one that it has not written yet.
    """
    differing = [*found.missing, *found.changed, *found.incomplete]
    if not (found.extra or differing):
        return dataclasses.replace(found, repaired=True)
    if not documents.hashes and not documents.nodes:
        raise InvalidInputError(
            "docstore lists no document, so a repair would delete every node; clear() does that"
        )
    if not await documents.has_documents():
        raise InvalidInputError(
            "docstore lists no document as a pipeline or an index does, so nothing would write "
            "again what a repair deletes. Compare without repair=, and write or delete nodes "
            "yourself"
        )
    wanted = differing if repair == "all" else [*found.missing, *found.changed]
    again = [name for name in wanted if await documents.will_be_written(name)]
    for refs in parts([*found.extra, *again], _AT_ONCE):
        await delete_matching(io, records, refs=refs, namespace=options.get("namespace"))
    await documents.forget(again)
    left = tuple(sorted({*differing}.difference(again)))
    return dataclasses.replace(found, repaired=True, left=left)


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
        self._seen: dict[str, set[str]] = {}
        """The listed nodes in the store of each document that has any nodes there."""
        self._named: set[str] = set()
        """What nodes of the store name as the node that they are a part of, or stand for."""
        self._has_parents: bool = False
        """Whether listed nodes that have parts are in the store."""
        self._partly_listed: set[str] = set()
        """Documents with nodes that are not listed, though others are."""
        self._strangers: set[str] = set()
        """Those of these with such nodes that do not belong to a listed one either."""
        self._extra: set[str] = set()
        self._changed: set[str] = set()
        self._stored: set[str] = set()
        """Nodes that are noted."""
        self._lacking: dict[str, str] = {}
        """Neighbours and parts that these name and that are not noted, each with its document."""

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
        whole = _wholes(node)
        self._named |= whole
        if not await self._is_listed(name):
            # What stands for a listed one is there on purpose.
            if source is not None or not any([await self._is_listed(one) for one in whole]):
                self._extra.add(name)
            return
        self._note_named(name, node)
        is_listed = self._document_of.get(node.node_id) == name
        seen = self._seen.setdefault(name, set())
        if is_listed:
            seen.add(node.node_id)
            self._has_parents |= NodeRelationship.CHILD in node.relationships
            if await self._hash_of(node.node_id) not in (None, node.hash):
                self._changed.add(name)
        elif name in self.nodes:
            self._partly_listed.add(name)
            if whole.isdisjoint(self.nodes[name]):
                self._strangers.add(name)
        is_same = its_hash is None or await self._hash_of(name) in (None, its_hash)
        if not (is_whole and is_same):
            self._changed.add(name)

    def _note_named(self, name: str, node: BaseNode) -> None:
        """Parsers name these among the nodes that they make of one document."""
        if name == node.node_id:
            return
        self._stored.add(node.node_id)
        self._lacking.pop(node.node_id, None)
        named = _related(node, *_NEIGHBOURS, NodeRelationship.CHILD)
        self._lacking |= dict.fromkeys(named - self._stored, name)

    async def _is_listed(self, name: str) -> bool:
        return (
            name in self.nodes or name in self._document_of or await self._hash_of(name) is not None
        )

    async def _hash_of(self, name: str) -> str | None:
        """The hash of a document or node; of those that are the same, one is among all hashes."""
        if name not in self.hashes and name not in self._unhashed:
            its_hash = await self._call("get_document_hash", name)
            if its_hash is None:
                self._unhashed.add(name)
            else:
                self.hashes[name] = its_hash
        return self.hashes.get(name)

    async def comparison(self) -> Comparison:
        """What differs, when all nodes are noted."""
        listed = (self.hashes.keys() | self.nodes.keys()) - self._document_of.keys()
        absent = listed - self._seen.keys() - self._named
        missing = [name for name in absent if await self._hash_of(name) != _AWAITED]
        changed, incomplete = self._changed.copy(), set[str]()
        for node, name in self._lacking.items():
            if node in self.nodes.get(name, ()):
                changed.add(name)
            elif name not in self.nodes or name in self._partly_listed:
                incomplete.add(name)
        changed.update([name for name in self._strangers if await self._lists_all(name)])
        for name in self._seen.keys() & self.nodes.keys() - changed:
            for node in self.nodes[name] - self._seen[name]:
                is_lost = await self._is_lost(node, name)
                if is_lost is not False:
                    (changed if is_lost else incomplete).add(name)
        return Comparison(
            missing=tuple(sorted(missing)),
            extra=tuple(sorted(self._extra)),
            changed=tuple(sorted(changed)),
            incomplete=tuple(sorted(incomplete - changed)),
        )

    async def _lists_all(self, name: str) -> bool:
        """Whether other nodes of a document would be listed too.

        A VectorStoreIndex lists only images and what stands for others, unless told otherwise.
        """
        for node in self.nodes[name]:
            if not isinstance(await self._document(node), (ImageNode, IndexNode)):
                return True
        return False

    async def _is_lost(self, node_id: str, name: str) -> bool | None:
        """Whether the store has lost a listed node; None if that cannot be known.

        A row of neighbours of which none is stored, and nodes whose parts are, are kept in the
        document store alone.
        """
        if node_id in self._named and not self._has_parents:
            return False
        node = await self._document(node_id)
        if node is None:
            return None
        neighbours = _related(node, *_NEIGHBOURS)
        if not neighbours.isdisjoint(self._seen[name]):
            return True
        has_parts = node_id in self._named or NodeRelationship.CHILD in node.relationships
        unsure = self._has_parents if has_parts else not neighbours
        return None if unsure else False

    async def has_documents(self) -> bool:
        """Whether any document is listed that will be written again."""
        for name in self.hashes:
            if await self.will_be_written(name):
                return True
        return False

    async def will_be_written(self, name: str) -> bool:
        """Whether a pipeline, or an index, writes a document again that has no hash any more.

        A pipeline lists documents, an index nodes and only the hashes of documents. Who has put
        nodes there by hand, perhaps beside their documents, has to write them by hand.
        """
        if name in self._document_of or await self._hash_of(name) in (None, _AWAITED):
            return False
        kept = await self._document(name)
        return kept is None or (isinstance(kept, Document) and name not in self.nodes)

    async def forget(self, names: Iterable[str]) -> None:
        """Take documents for ones that the pipeline has not written yet."""
        for name in names:
            await self._call("set_document_hash", name, _AWAITED)

    async def _document(self, name: str) -> BaseNode | None:
        found: BaseNode | None = await self._call("get_document", name, raise_error=False)
        return found

    async def _call(self, method: str, *args: Any, **options: Any) -> Any:
        blocking = getattr(self._docstore, method)
        awaited = getattr(self._docstore, f"a{method}")
        return await self._io.either(
            partial(blocking, *args, **options), partial(awaited, *args, **options)
        )


def _related(node: BaseNode, *kinds: NodeRelationship) -> set[str]:
    """The nodes that a node names as these."""
    named: set[str] = set()
    for kind in kinds:
        given = node.relationships.get(kind)
        some = given if isinstance(given, list) else [given]
        named |= {one.node_id for one in some if isinstance(one, RelatedNodeInfo)}
    return named


def _wholes(node: BaseNode) -> set[str]:
    """The nodes that it is a part of, or stands for."""
    wholes = _related(node, NodeRelationship.PARENT)
    return wholes | {node.index_id} if isinstance(node, IndexNode) else wholes
