"""Any node comes back as it was, out of either layout; and how little room it takes."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.bridge.pydantic import Field
from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageDocument,
    ImageNode,
    IndexNode,
    MediaResource,
    MetadataMode,
    Node,
    NodeRelationship,
    ObjectType,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict

from llama_index_vectorize import VectorizeVectorStore
from llama_index_vectorize.nodes import to_node, to_record, to_stock_record
from tests.llama_index.helpers import embedded
from tests.nightly import examples
from tests.stores import Call, Make, both_ways, shape, vector
from vectorize_core import InvalidVectorError, VectorizeClient, layout
from vectorize_core.api.validation import check_metadata
from vectorize_core.layout import Record

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
KEYS = st.sampled_from(("a", "b", "c", "n", "text", "a.b", "$x", "", "_vs", "order", "é")) | TEXTS
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from((2**70, 0.5, 1.0, -0.0))
    | TEXTS
)
SCALARS = PLAIN | st.sampled_from(
    (
        datetime(2024, 5, 1, 12, tzinfo=UTC),
        date(2024, 5, 1),
        UUID(int=7),
        Decimal("1.50"),
        b"\xff",
        (1, "b"),
    )
)


def metadata_of(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    some = values | st.lists(values, max_size=2) | st.dictionaries(KEYS, values, max_size=2)
    return st.dictionaries(KEYS, some, max_size=4)


PLAIN_METADATA, ANY_METADATA = metadata_of(PLAIN), metadata_of(SCALARS)
RELATED = st.tuples(st.none() | st.sampled_from(ObjectType), st.none() | TEXTS, st.booleans())
KINDS = st.lists(st.sampled_from(list(NodeRelationship)[:4]), unique=True, max_size=4)
EXCLUDED = st.lists(KEYS, max_size=2)


class Chapter(TextNode):
    """A class of a user's, with a name and a field of its own."""

    number: int = 0

    @classmethod
    def class_name(cls) -> str:
        return "Chapter"


class Letter(Document):
    """Another, without a name of its own."""

    sent: date | None = None


class Photo(ImageDocument):
    """A third, which its constructor does not show."""

    camera: MediaResource | None = None
    others: list[MediaResource] = Field(default_factory=list)

    @classmethod
    def class_name(cls) -> str:
        return "Photo"


OBJECTS = (
    TextNode(id_="o", metadata={"none": None}),
    Node(id_="o", image_resource=MediaResource(data=b"an image", url="http://a.b/c.png")),
)
OF_LLAMA_INDEX = (TextNode, Node, Document, ImageDocument, IndexNode, ImageNode)
CLASSES = (*OF_LLAMA_INDEX, Chapter, Letter, Photo)
TEMPLATES = st.sampled_from((None, "{key} is {value}", "{key}"))
DATA = st.none() | st.binary(max_size=20)
EMBEDDINGS = st.none() | st.just({"dense": [0.5, 1.0]})
RESOURCES = st.none() | st.builds(
    MediaResource,
    path=st.none() | st.just("a.png"),
    url=st.none() | st.just("http://a.b/c.png?d=1"),
    mimetype=st.none() | st.just("image/png"),
    data=DATA,
    text=st.none() | TEXTS,
    embeddings=EMBEDDINGS,
)
TEXT_RESOURCES = st.none() | st.builds(
    MediaResource, text=st.none() | TEXTS, mimetype=st.none() | st.just("text/html"), data=DATA
)


@st.composite
def nodes(
    draw: st.DrawFn,
    metadatas: st.SearchStrategy[Any] = ANY_METADATA,
    classes: tuple[type[BaseNode], ...] = CLASSES,
) -> BaseNode:
    """A node of any class, with any of its fields."""
    metadata = draw(metadatas)

    def related() -> RelatedNodeInfo:
        node_type, hashed, own = draw(RELATED)
        # The node's own metadata are the usual ones.
        given = metadata if own else draw(metadatas)
        return RelatedNodeInfo(node_id="r", node_type=node_type, hash=hashed, metadata=given)

    relationships: dict[NodeRelationship, Any] = {kind: related() for kind in draw(KINDS)}
    if draw(st.booleans()):
        relationships[NodeRelationship.CHILD] = [related()] * draw(st.integers(0, 2))
    hidden = draw(EXCLUDED)
    given: dict[str, Any] = {
        "id_": "n",
        "metadata": metadata,
        "relationships": relationships,
        "excluded_embed_metadata_keys": hidden,
        "excluded_llm_metadata_keys": list(hidden) if draw(st.booleans()) else draw(EXCLUDED),
    }
    if (template := draw(TEMPLATES)) is not None:
        given |= {"metadata_template": template, "metadata_separator": "; "}
    kind = draw(st.sampled_from(classes))
    if issubclass(kind, Node):
        given |= {f"{name}_resource": draw(RESOURCES) for name in ("image", "audio", "video")}
        if kind is Letter:
            given |= {"sent": draw(st.none() | st.just(date(2024, 5, 1)))}
        if kind is Photo:
            given |= {
                "camera": draw(RESOURCES),
                "others": draw(st.lists(RESOURCES.filter(bool), max_size=2)),
            }
        return kind(text_resource=draw(TEXT_RESOURCES), **given)
    given |= {"text": draw(TEXTS), "mimetype": draw(st.sampled_from(("text/plain", "text/html")))}
    if kind is IndexNode:
        given |= {"index_id": draw(TEXTS), "start_char_idx": draw(st.integers(0, 9))}
        given |= {"obj": draw(st.none() | st.sampled_from(OBJECTS))}
    if kind is ImageNode:
        given |= {"image_url": draw(st.none() | st.just("http://a.b/c")), "image": draw(TEXTS)}
        given |= {"image_path": draw(st.none() | st.just("a.png"))}
        given |= {"text_embedding": draw(st.none() | st.just([0.5]))}
    if kind is Chapter:
        given |= {"number": draw(st.integers(0, 2))}
    return kind(**given)


def fields(node: BaseNode) -> dict[str, Any]:
    """All of a node but its embedding, with the binary data that LlamaIndex leaves out."""
    found = {name: value for name, value in node.to_dict().items() if name != "embedding"}
    media = {n: value for n, value in vars(node).items() if isinstance(value, MediaResource)}
    data: dict[str, Any] = {n: one.data for n, one in media.items() if one.data is not None}
    if isinstance(node, Photo):
        data["others"] = [one.data for one in node.others]
    if isinstance(node, IndexNode) and node.obj is not None:
        data["obj"] = fields(node.obj)
    return {**found, "data": data}


def stored(record: Record, text_key: str = "text") -> Record:
    """A record that has been to the service and back."""
    metadata = layout.encode(record, text_key=text_key, indexed=layout.METADATA_INDEXES)
    return layout.decode(record.id, json.loads(json.dumps(metadata)), text_key=text_key)


def assert_same(back: BaseNode, node: BaseNode) -> None:
    assert type(back) is type(node)
    assert shape(fields(back)) == shape(fields(node))
    assert list(back.metadata) == list(node.metadata)
    assert (back.hash, back.ref_doc_id) == (node.hash, node.ref_doc_id)
    for mode in MetadataMode:
        assert back.get_content(mode) == node.get_content(mode)


@given(nodes(), st.sampled_from(("text", "a", "body")))
@examples(25)
def test_any_node_comes_back_as_it_was(node: BaseNode, text_key: str) -> None:
    before = node.model_copy(deep=True)
    assert_same(to_node(stored(to_record(node, text_key), text_key)), node)
    assert_same(node, before)


@given(nodes(PLAIN_METADATA, OF_LLAMA_INDEX))
@examples(25)
def test_any_node_comes_back_out_of_the_stock_layout(node: BaseNode) -> None:
    record = stored(to_stock_record(node))
    back = to_node(record)
    assert type(back) is type(node)
    # LlamaIndex leaves the resource of a text out with its text, whatever else it holds.
    for name in fields(node).keys() - {"text_resource"}:
        assert shape(fields(back)[name]) == shape(fields(node)[name])
    assert back.get_content() == node.get_content()
    # Where LlamaIndex reads it itself, there is no less in it.
    theirs = metadata_dict_to_node(record.metadata, text=record.text)
    assert theirs.get_content() == back.get_content()
    assert theirs.relationships == back.relationships


@pytest.mark.parametrize(
    "others", [{"a": True, "b": 2.0}, {"b": 2, "a": 1}, {"a": 1, "b": 2}, {"a": 1}]
)
def test_metadata_of_a_neighbour_that_seem_the_same_come_back(others: Any) -> None:
    related = RelatedNodeInfo(node_id="r", metadata=others)
    node = TextNode(
        id_="n",
        text="",
        metadata={"a": 1, "b": 2},
        relationships={NodeRelationship.NEXT: related},
    )
    back = to_node(stored(to_record(node))).next_node
    assert back is not None
    assert repr(back.metadata) == repr(others)


ORDERED = {"z": None, "b": 1, "when": date(2024, 5, 1), "a.b": 2, "a": [None], "text": "mine"}


@both_ways
@pytest.mark.parametrize("metadata", [ORDERED, dict(reversed(ORDERED.items())), {"z": 1, "a": 2}])
async def test_metadata_stay_in_order(make: Make, call: Call, metadata: dict[str, Any]) -> None:
    store, node = make(), embedded(TextNode(id_="n", text="text", metadata=metadata))
    await call(store, "add", [node])
    (back,) = await call(store, "get_nodes", ["n"])
    assert list(back.metadata.items()) == list(metadata.items())
    assert back.hash == node.hash
    assert back.get_content(MetadataMode.ALL) == node.get_content(MetadataMode.ALL)


def test_the_order_is_written_only_where_it_would_be_lost() -> None:
    def order(metadata: dict[str, Any]) -> Any:
        return (to_record(TextNode(text="", metadata=metadata)).node or {}).get("order")

    for kept in ({}, {"z": 1, "a": [1], "d": date(2024, 5, 1)}, {"a": 1, "n": None, "b.c": None}):
        assert order(kept) is None
    assert order({"n": None, "a": 1}) == ["n", "a"]
    assert order({"b.c": 1, "n": None}) == ["b.c", "n"]


# The stock layout


@both_ways
@pytest.mark.parametrize(
    ("value", "back"),
    [
        (np.arange(3), [0, 1, 2]),
        (np.float32(1.5), 1.5),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.datetime64("2020-01-01"), "2020-01-01"),
        ({"at": [np.array(5)]}, {"at": [5]}),
        (PurePosixPath("/a"), "/a"),
        (range(2), [0, 1]),
    ],
    ids=repr,
)
@pytest.mark.covering(1)
async def test_the_stock_layout_takes_arrays_and_other_near_types(
    make: Make, call: Call, value: Any, back: Any
) -> None:
    others = [RelatedNodeInfo(node_id=name, metadata={"k": value}) for name in "ab"]
    links: Any = {NodeRelationship.SOURCE: others[0], NodeRelationship.CHILD: others}
    node = embedded(TextNode(id_="n", text="t", metadata={"k": value}, relationships=links))
    store = make(node_layout="stock")
    await call(store, "add", [node])
    assert type(node.metadata["k"]) is type(value)
    (found,) = await call(store, "get_nodes", ["n"])
    assert found.metadata == found.source_node.metadata == {"k": back}
    assert [child.metadata for child in found.child_nodes] == [{"k": back}] * 2


@both_ways
async def test_the_stock_layout_is_written_where_it_is_asked_for(
    make: Make, client: VectorizeClient, call: Call
) -> None:
    source = RelatedNodeInfo(node_id="doc")
    node = embedded(
        TextNode(
            id_="n",
            text="the text",
            metadata={"page": 3, "doc_id": "mine"},
            relationships={NodeRelationship.SOURCE: source},
        )
    )
    store = make(node_layout="stock", text_key="body")
    await call(store, "add", [node, embedded(Document(id_="d", text="a document"))])
    (raw,) = client.index("docs").get(["n"])
    metadata = dict(raw.metadata or {})
    assert (metadata["body"], metadata["page"], metadata["_node_type"]) == (
        "the text",
        3,
        "TextNode",
    )
    assert metadata["ref_doc_id"] == metadata["doc_id"] == metadata["document_id"] == "doc"
    assert json.dumps(metadata).count("the text") == 1
    # As any store of LlamaIndex reads it.
    assert fields(metadata_dict_to_node(metadata, text=metadata["body"])) == fields(node)
    for reader in (store, make(text_key="body")):
        (back,) = await call(reader, "get_nodes", ["n"])
        assert fields(back) == fields(node)
        (document,) = await call(reader, "get_nodes", ["d"])
        assert (type(document), document.text) == (Document, "a document")
    await call(store, "delete", "doc")
    assert [node.node_id for node in store.iter_nodes()] == ["d"]


def test_an_unknown_layout_is_refused() -> None:
    with pytest.raises(ValueError, match="node_layout"):
        VectorizeVectorStore("docs", path=":memory:", node_layout="small")  # type: ignore[arg-type]


# Sizes

FILE: dict[str, Any] = {
    "file_path": "/home/user/documents/reports/2024/annual_report.pdf",
    "file_name": "annual_report.pdf",
    "file_type": "application/pdf",
    "file_size": 1234567,
    "creation_date": "2024-05-01",
    "last_modified_date": "2024-06-01",
    "page_label": "12",
}
"""What SimpleDirectoryReader knows of a file: 225 bytes as JSON."""


def chunk(text: str = "", excluded: tuple[str, ...] = ()) -> TextNode:
    """A chunk from the middle of a file."""

    def related(node_type: ObjectType, metadata: dict[str, Any]) -> RelatedNodeInfo:
        return RelatedNodeInfo(
            node_id="00000000-0000-4000-8000-000000000000",
            node_type=node_type,
            metadata=metadata,
            hash="0" * 64,
        )

    return TextNode(
        id_="11111111-1111-4111-8111-111111111111",
        text=text,
        metadata=FILE,
        start_char_idx=5000,
        end_char_idx=7000,
        excluded_embed_metadata_keys=list(excluded),
        excluded_llm_metadata_keys=list(excluded),
        relationships={
            NodeRelationship.SOURCE: related(ObjectType.DOCUMENT, FILE),
            NodeRelationship.PREVIOUS: related(ObjectType.TEXT, FILE),
            NodeRelationship.NEXT: related(ObjectType.TEXT, {}),
        },
    )


def size(metadata: dict[str, Any]) -> int:
    return len(json.dumps(metadata, ensure_ascii=False, separators=(",", ":")).encode())


def our_size(node: BaseNode) -> int:
    return size(layout.encode(to_record(node), indexed=layout.METADATA_INDEXES))


@pytest.mark.parametrize("excluded", [(), tuple(FILE)[1:6]], ids=["plain", "as a reader makes it"])
def test_a_chunk_of_a_file_takes_less_than_half_of_the_stock_layout(
    excluded: tuple[str, ...],
) -> None:
    node = chunk(excluded=excluded)
    assert 220 <= size(FILE) <= 230
    stock = size(node_to_metadata_dict(node, remove_text=True))
    assert our_size(node) <= 0.45 * stock
    assert_same(to_node(stored(to_record(node))), node)


def test_a_bare_node_takes_little() -> None:
    bare = TextNode(id_="11111111-1111-4111-8111-111111111111", text="")
    assert our_size(bare) <= 200 <= 0.4 * size(node_to_metadata_dict(bare))


def test_a_default_chunk_with_a_kilobyte_of_metadata_fits() -> None:
    node = chunk("x" * 4298)
    node.metadata = {"summary": "y" * 2000, **FILE}
    record = to_record(node)
    check_metadata(node.node_id, layout.encode(record, indexed=layout.METADATA_INDEXES))
    with pytest.raises(InvalidVectorError, match="10240"):
        check_metadata(node.node_id, node_to_metadata_dict(node) | {"text": node.text})


def test_the_embedding_is_not_among_them(make: Make, client: VectorizeClient) -> None:
    make().add([embedded(chunk("text"))])
    (raw,) = client.index("docs").get([chunk().node_id])
    assert str(vector(chunk().node_id)[0]) not in json.dumps(dict(raw.metadata or {}))
