"""What others left in a vector of a node: it is read, as far as it can be understood."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageDocument,
    ImageNode,
    IndexNode,
    MediaResource,
    Node,
    NodeRelationship,
    NodeWithScore,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.vector_stores.types import VectorStoreQuery
from PIL import Image
from pydantic import field_serializer

from llama_index_vectorize import VectorizeVectorStore
from llama_index_vectorize.nodes import class_of, named, to_node, to_record, to_stock_record
from tests.llama_index.helpers import MODEL, embedded, text_node
from tests.llama_index.test_round_trips import PLAIN_METADATA, nodes, stored
from tests.nightly import examples
from tests.stores import Call, Make, Recorder, both_ways, vector
from vectorize_core import InvalidInputError, InvalidVectorError, OversizedError, VectorizeClient
from vectorize_core.layout import Record

SOURCE = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id="doc")}
IMAGE = {"image_resource": MediaResource(path="a.png", mimetype="image/png")}


class Report(Document):
    """A class of a user's with a name of its own, at the top of a module."""

    pages: int = 0

    @classmethod
    def class_name(cls) -> str:
        return "Report"


def unknown(base: type[BaseNode]) -> type[BaseNode]:
    """A class that no reader finds, since it is inside of a function."""

    class Unknown(base):  # type: ignore[misc,valid-type]
        number: int = 0

        @classmethod
        def class_name(cls) -> str:
            return "Unknown"

    return Unknown


# What is accepted comes back


@pytest.fixture
def photo(tmp_path: Path) -> str:
    Image.new("RGB", (2, 2)).save(tmp_path / "cat.png")
    return str(tmp_path / "cat.png")


@both_ways
@pytest.mark.parametrize("node_layout", ["compact", "stock"])
@pytest.mark.parametrize("text", ["a cat", None])
async def test_a_document_with_an_image_comes_back(
    make: Make, call: Call, photo: str, text: str | None, node_layout: str
) -> None:
    store = make(node_layout=node_layout)
    given = {} if text is None else {"text": text}
    await call(store, "add", [embedded(ImageDocument(id_="n", image_path=photo, **given))])
    (got,) = await call(store, "get_nodes", ["n"])
    (found,) = (await call(store, "query", VectorStoreQuery(vector("n")))).nodes
    for back in (got, found, *store.iter_nodes()):
        assert isinstance(back, ImageDocument)
        assert (back.text, back.image_path, back.image_mimetype) == (text or "", photo, "image/png")


@pytest.mark.parametrize("node_layout", ["compact", "stock"])
@pytest.mark.parametrize("base", [TextNode, Node, Document, ImageDocument, ImageNode])
async def test_a_class_that_is_not_loaded_is_read_as_what_it_derives_from(
    make: Make, base: type[Any], node_layout: str
) -> None:
    store = make(node_layout=node_layout)
    given = dict(IMAGE) if issubclass(base, Node) else {}
    given |= {"text_resource": MediaResource(text="t")} if base is Node else {"text": "t"}
    given |= {"image_path": "a.png"} if base is ImageNode else {}
    node = unknown(base)(
        id_="n", metadata={"a": 1}, number=4, relationships=SOURCE, embedding=vector("n"), **given
    )
    store.add([node])
    (back,) = store.get_nodes(["n"])
    assert (back.get_content(), back.metadata, back.ref_doc_id) == ("t", {"a": 1}, "doc")
    if node_layout == "compact":
        assert type(back) is base
    if isinstance(back, Node) or issubclass(base, Node):
        assert isinstance(back, Node)
        assert back.image_resource == IMAGE["image_resource"]


async def test_a_class_that_is_loaded_comes_back(store: VectorizeVectorStore) -> None:
    store.add([embedded(Report(id_="n", text="t", pages=4))])
    (back,) = store.get_nodes(["n"])
    assert (type(back), back.get_content()) == (Report, "t")
    assert back == Report(id_="n", text="t", pages=4)


@pytest.mark.parametrize("node_layout", ["compact", "stock"])
def test_binary_data_come_back_or_are_refused(make: Make, sent: Recorder, node_layout: str) -> None:
    store = make(node_layout=node_layout)
    for data in (b"bytes", b"", bytes(range(256))):
        store.add([embedded(Node(id_="n", image_resource=MediaResource(data=data)))])
        (back,) = store.get_nodes(["n"])
        assert isinstance(back, Node)
        assert back.image_resource == MediaResource(data=data)
    changes = len(sent.changes)
    resource = MediaResource(data=b"\xff" * 10_000, path="a.png")
    with pytest.raises(OversizedError, match=r"node 'n': its image_resource takes 1.* path or url"):
        store.add([embedded(Node(id_="n", image_resource=resource))])
    with pytest.raises(OversizedError, match=r"node 'n': its image takes 10241 bytes"):
        make().add([embedded(ImageNode(id_="n", image="A" * 10_241))])
    assert len(sent.changes) == changes


LARGE = "x" * 11_000


@pytest.mark.parametrize(
    ("node", "advised"),
    [
        (IndexNode(index_id="i", obj=TextNode(text=LARGE)), r"its obj takes.*objects=\[\.\.\.\]\)"),
        (ImageNode(text_embedding=[0.123456789] * 1_536), "text_embedding takes.*Leave it out of"),
        (ImageNode(image=LARGE), "its image takes.*path or url"),
        (Node(text_template=LARGE), "its text_template takes.*Leave it out of"),
    ],
    ids=["obj", "text_embedding", "image", "template"],
)
def test_what_is_too_large_of_a_node_comes_with_advice_that_helps(
    make: Make, node: BaseNode, advised: str
) -> None:
    with pytest.raises(OversizedError, match=advised):
        make().add([embedded(node)])


def test_the_stock_layout_is_said_to_be_what_is_too_large(make: Make) -> None:
    node = TextNode(id_="n", metadata={"a": "x" * 6_000}, embedding=vector("n"))
    advised = "the node in LlamaIndex's own layout 6.*node_layout='compact'"
    with pytest.raises(OversizedError, match=advised) as caught:
        make(node_layout="stock").add([node])
    assert "_node_content" not in str(caught.value)
    # What it advises.
    make(node_layout="compact").add([node])


@pytest.mark.parametrize("node_layout", ["compact", "stock"])
@pytest.mark.parametrize(
    ("node", "message"),
    [
        (IndexNode(id_="n", index_id="i", obj=object()), "'n' cannot be stored.*obj.*objects="),
        (
            TextNode(id_="n", relationships={NodeRelationship.SOURCE: [SOURCE["1"]]}),  # type: ignore[index]
            "'n': a node has one source document",
        ),
    ],
)
def test_what_llama_index_cannot_serialize_is_refused_by_name(
    make: Make, sent: Recorder, node: BaseNode, message: str, node_layout: str
) -> None:
    node.embedding = vector("n")
    with pytest.raises(InvalidVectorError, match=message):
        make(node_layout=node_layout).add([text_node("a"), node])
    assert sent.changes == []


class Interrupted(TextNode):
    @field_serializer("metadata")
    def interrupted(self, _: Any) -> Any:
        raise KeyboardInterrupt


@pytest.mark.parametrize("convert", [to_record, to_stock_record])
def test_ctrl_c_while_a_node_is_serialized_is_no_refusal(
    convert: Callable[[TextNode], Record],
) -> None:
    with pytest.raises(KeyboardInterrupt), named(Interrupted(text="a")):
        convert(Interrupted(text="a"))


@both_ways
@pytest.mark.parametrize("node_layout", ["compact", "stock"])
@pytest.mark.parametrize(
    "base",
    [IndexNode, ImageNode, unknown(IndexNode), unknown(ImageNode)],
    ids=["index", "image", "of an index", "of an image"],
)
async def test_a_class_of_index_and_image_nodes_hides_no_text_nodes(
    make: Make, call: Call, base: type[Any], node_layout: str
) -> None:
    store = make(node_layout=node_layout)
    given = {"index_id": "i"} if issubclass(base, IndexNode) else {"image_path": "a.png"}
    nodes = [base(id_="n", text="a", **given), TextNode(id_="t", text="b")]
    context = StorageContext.from_defaults(vector_store=store)
    index = VectorStoreIndex(nodes, storage_context=context)
    found = await call(index.as_retriever(similarity_top_k=5), "retrieve", "q")
    assert {node.node.node_id for node in found} == {"n", "t"}
    (back,) = await call(store, "get_nodes", ["n"])
    assert given.items() <= vars(back).items()


@both_ways
@pytest.mark.parametrize("node_layout", ["compact", "stock"])
@pytest.mark.parametrize(
    "wrong",
    [
        {"metadata": None},
        {"metadata": "abc"},
        {"metadata": [1]},
        {"text": b"abc"},
        {"text": 5},
        {"relationships": None},
        {"relationships": {NodeRelationship.SOURCE: "doc"}},
        {"id_": b"n"},
        {"id_": None},
    ],
    ids=str,
)
@pytest.mark.covering(1)
async def test_a_node_that_was_made_without_checks_is_refused_by_name(
    make: Make, sent: Recorder, call: Call, wrong: dict[str, Any], node_layout: str
) -> None:
    fields = {**text_node("n").__dict__, **wrong}
    with pytest.raises(InvalidInputError, match=r"nodes\[0\]|position 0"):
        await call(make(node_layout=node_layout), "add", [TextNode.model_construct(**fields)])
    assert sent.changes == []


# What is no list of nodes


@both_ways
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (text_node("n"), r"nodes is an iterable of nodes; got TextNode.*Put it into a list"),
        ("hello", "nodes is an iterable of nodes; got one string: 'hello'"),
        (None, "nodes is an iterable of nodes; got None"),
        (5, "nodes is an iterable of nodes; got 5"),
        ({"a": 1}, "nodes is an iterable of nodes"),
        (["hello"], r"nodes\[0\] is a node; got 'hello' \(str\)\. Make it one: TextNode"),
        ([text_node("n"), None], r"nodes\[1\] is a node; got None"),
        ((text_node("n"), 5), r"nodes\[1\] is a node; got 5"),
        ([NodeWithScore(node=text_node("n"))], r"nodes\[0\].*Give its \.node"),
    ],
)
@pytest.mark.covering(1)
async def test_what_is_no_list_of_nodes_is_refused(
    store: VectorizeVectorStore, sent: Recorder, call: Call, given: Any, message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        await call(store, "add", given)
    assert sent.changes == []


# What cannot be understood

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)


def mutated(draw: Callable[..., Any], value: Any) -> Any:
    """``value`` with something in it replaced, missing, added or renamed."""
    if not isinstance(value, (dict, list)) or not value or draw(st.integers(0, 3)) == 0:
        return draw(JUNK)
    if isinstance(value, list):
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], mutated(draw, value[at]), *value[at + 1 :]]
    key = draw(st.sampled_from(sorted(value, key=str)))
    rest = {name: item for name, item in value.items() if name != key}
    if draw(st.booleans()):
        return {**rest, key: mutated(draw, value[key])}
    return rest if draw(st.booleans()) else {**rest, draw(st.text(max_size=4)): value[key]}


@given(st.data(), nodes(PLAIN_METADATA))
@examples(30)
def test_a_changed_structure_is_read(data: st.DataObject, node: BaseNode) -> None:
    record = stored(to_record(node))
    structure = mutated(data.draw, record.node)
    changed = Record(record.id, record.text, record.metadata, structure)
    if structure is None and record.text is None:
        return  # A foreign vector, which has to have a text.
    back = to_node(changed)
    assert (back.node_id, back.get_content()) == ("n", record.text or "")
    assert back.metadata == record.metadata
    assert issubclass(class_of(changed), BaseNode)


@given(st.data(), nodes(PLAIN_METADATA))
@examples(30)
def test_a_changed_stock_layout_is_read(data: st.DataObject, node: BaseNode) -> None:
    record = stored(to_stock_record(node))
    content = mutated(data.draw, json.loads(record.metadata["_node_content"]))
    kind = data.draw(st.sampled_from((record.metadata["_node_type"], "Future", 7, None)))
    told = {"_node_content": json.dumps(content), "_node_type": kind}
    changed = Record("n", record.text, {**record.metadata, **told})
    back = to_node(changed)
    assert not record.text or back.get_content() == record.text
    assert issubclass(class_of(changed), BaseNode)


def test_metadata_of_another_framework_have_keys_of_any_type() -> None:
    back = to_node(Record("n", "text", {1: "one", "a": 2}))
    assert (back.metadata, back.get_content()) == ({"1": "one", "a": 2}, "text")


def test_nothing_is_fetched_that_a_vector_names(monkeypatch: pytest.MonkeyPatch) -> None:
    def get(*_: Any, **__: Any) -> None:
        raise AssertionError("it was fetched")

    monkeypatch.setattr("requests.get", get)
    url = "http://127.0.0.1:9/secret.png"
    for fields in ({"image_url": url}, {"image_resource": {"url": url}}):
        back = to_node(Record("n", "t", {}, {"class": "ImageDocument", "fields": fields}))
        assert type(back) is ImageDocument
        content = json.dumps({"id_": "n", "class_name": "ImageDocument", **fields})
        stock = {"_node_content": content, "_node_type": "ImageDocument"}
        assert type(to_node(Record("n", "t", stock))) is ImageDocument
    for name in ("os:getcwd", "json:JSONDecoder", "antigravity:x", ":", "builtins:"):
        back = to_node(Record("n", "t", {}, {"type": name, "class": "TextNode"}))
        assert type(back) is TextNode


ODD: dict[str, dict[str, Any]] = {
    "a class of the future": {"class": "HoloNode", "fields": {"hologram": {"url": "x"}}},
    "an old record of a document with an image": {
        "class": "Scan",
        "fields": {"text_resource": {}, "image_resource": {"path": "a.png"}},
    },
    "no class": {},
    "odd fields": {"class": "TextNode", "fields": {"start_char_idx": "x", "metadata_template": 3}},
    "odd relationships": {"class": "Document", "relationships": {"1": [{}], "9": {"id": "x"}}},
    "no id of an index": {"class": "IndexNode"},
    "a list": [],  # type: ignore[dict-item]
}


@both_ways
@pytest.mark.parametrize("odd", ODD)
@pytest.mark.covering(1)
async def test_no_record_spoils_an_index(
    store: VectorizeVectorStore, client: VectorizeClient, call: Call, odd: str
) -> None:
    await call(store, "add", [text_node("a"), text_node("b")])
    (raw,) = client.index("docs").get(["b"])
    extra = json.dumps({"v": 1, "n": ODD[odd]})
    changed = {**(raw.metadata or {}), "_vs": extra}
    client.index("docs").upsert([type(raw)("b", raw.values, metadata=changed)], wait="visible")
    query = VectorStoreQuery(vector("b"), similarity_top_k=2)
    lookup = VectorStoreQuery(similarity_top_k=2, doc_ids=["b", "a"])
    found = [
        *(await call(store, "query", query)).nodes,
        *(await call(store, "query", lookup)).nodes,
        *(await call(store, "get_nodes", ["b", "a"])),
        *store.iter_nodes(),
    ]
    assert {node.node_id: node.get_content() for node in found} == {"a": "text a", "b": "text b"}
    assert len(found) == 8
    retriever = VectorStoreIndex.from_vector_store(store, MODEL).as_retriever()
    assert len(retriever.retrieve("b")) == 2
