"""Typos in keyword arguments: type checkers report them, and errors name the right word."""

from __future__ import annotations

import ast
import builtins
import importlib.util
import inspect
import json
import re
import subprocess
import symtable
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest
from llama_index.core.vector_stores.types import VectorStoreQuery

import langchain_vectorize
import llama_index_vectorize
from tests.stores import Embedder
from vectorize_core import (
    AsyncVectorizeClient,
    Behavior,
    D1TextIndex,
    D1Texts,
    InvalidInputError,
    RateLimit,
    RetryPolicy,
    SqliteTextIndex,
    SqliteTexts,
    VectorizeClient,
)
from vectorize_core.local import Service
from vectorize_core.local.server import BackgroundServer, Settings

ROOT = Path(__file__).parent.parent
PROGRAMS = {
    "langchain": """
from uuid import UUID

from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.indexing import InMemoryRecordManager

from langchain_vectorize import VectorizeVectorStore
from vectorize_core import WriteEstimate

embedding = DeterministicFakeEmbedding(size=32)
store = VectorizeVectorStore(embedding, index_name="docs", path=":memory:")
estimate = store.add_texts(["a"], wait=True, dry_run=True)
assert isinstance(estimate, WriteEstimate)
print(estimate.requests)
store.add_texts(["a", "b", "c"], ids=[7, UUID(int=5), None])
store.add_documents([Document("a")], ids=[7])
store.add_embeddings(["a"], [[1.0]], ids=[7])
store.update_metadata([7], {"n": 1})
store.get_by_ids([7, "a"])
store.get(ids=[UUID(int=5)])
store.similarity_search_by_id(7)
((_, near),) = store.similarity_search_with_vectors("q", k=1)
store.similarity_search_by_vector(near)
store.similarity_search_with_score_by_vector(near)
store.max_marginal_relevance_search_by_vector(near)
store.max_marginal_relevance_search_with_score_by_vector(near)
store.delete([7, UUID(int=5)])
store.delete(store.add_texts(["a"]))
store.index.get([7])
store.index.query_by_id(7)
store.index.delete([7])
store.similarity_search("q", 4, filter={"a": 1}, unindexed="scan", namespace=None)
store.as_retriever(search_type="mmr", search_kwargs={"k": 4, "fetch_k": 9}, tags=["a"])
store.similarity_search("q", retrieval_mode="hybrid", alpha=0.5, fusion="relative")
store.similarity_search_with_score("q", score_threshold=0.5)
store.max_marginal_relevance_search_with_score("q", fetch_k=9, score_threshold=0.5)
store.get(limit=4, offset=8, include=["documents", "embeddings"], max_requests=None)["embeddings"]
store.update_metadata(["a"], remove=["year"], wait=True)
store.create_metadata_index("year", "number", wait_timeout=60)
store.compare(InMemoryRecordManager("docs"), key_encoder="sha256", repair=True, namespace="a")
store.index.info()
store.client.list_indexes()
store.as_retriever(search_kwargs={"retrieval_mode": "text"})
VectorizeVectorStore.local(embedding, index_name="docs", text_index=True, retrieval_mode="text")
VectorizeVectorStore.from_texts(["a"], embedding, index_name="docs", path=":memory:")

store.add_texts(["a"], wiat=True)  # typo
store.add_texts(["a"], ids=[7.5])  # typo
store.similarity_search("q", unindexed="scann")  # typo
store.as_retriever(search_typ="mmr")  # typo
VectorizeVectorStore(embedding, index_nam="docs", path=":memory:")  # typo
store.similarity_search("q", top_k=4)  # typo

store.as_retriever(search_type="mmrr")  # typo
store.as_retriever(search_kwargs={"kk": 4})  # typo
store.count(precision="highest")  # typo
VectorizeVectorStore.local(embedding, index_name="docs", on_oversize="cutt")  # typo
VectorizeVectorStore.from_texts(["a"], embedding, index_nam="docs", path=":memory:")  # typo
VectorizeVectorStore.from_documents([], embedding, index_name="docs", waits=True)  # typo
VectorizeVectorStore.from_existing_index("docs", embedding, api_tokn="t")  # typo
store.similarity_search("q", retrieval_mode="sparse")  # typo
store.as_retriever(search_kwargs={"retrieval_mode": "bm25"})  # typo
store.delete(["a"], retrieval_mode="text")  # typo
store.similarity_search("q", score_treshold=0.5)  # typo
store.get(include=["texts"])  # typo
store.update_metadata(["a"], removes=["year"])  # typo
store.create_metadata_index("year", "int")  # typo
store.compare(InMemoryRecordManager("docs"), key_encoder="md5")  # typo
store.compare(InMemoryRecordManager("docs"), filter={"a": 1})  # typo
VectorizeVectorStore(embedding, index_name="docs", path=":memory:", text_index="docs")  # typo
VectorizeVectorStore.from_texts(["a"], embedding, index_name="docs", fusion="best")  # typo
""",
    "llama_index": """
from uuid import UUID

from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores.types import VectorStoreQuery

from llama_index_vectorize import VectorizeVectorStore
from vectorize_core import WriteEstimate

query = VectorStoreQuery(query_embedding=[1.0], similarity_top_k=4)
store = VectorizeVectorStore("docs", path=":memory:")
store.add([], wait=True)
estimate = store.add([], dry_run=True)
assert isinstance(estimate, WriteEstimate)
print(estimate.requests)
store.get_nodes([7])
store.delete(7)
store.delete_many([7, UUID(int=5)])
store.delete_nodes([7])
store.delete_nodes(store.add([]))
store.query(query, unindexed="scan", mmr_threshold=0.5)
store.query(query, fusion="rrf")
store.query(query, similarity_cutoff=0.5, include_embeddings=True)
store.get_nodes(limit=3, offset=3, include_embeddings=True)
store.update_metadata(["a"], {"n": 1}, remove=["m"], wait=True)
store.create_metadata_index("n", "number")
store.compare(SimpleDocumentStore(), repair=True, max_requests=10)
store.compare(SimpleDocumentStore(), repair="all")
VectorizeVectorStore("docs", path=":memory:", text_index=True)

store.add([], wiat=True)  # typo
store.query(query, unindexed="scann")  # typo
store.get_nodes(["a"], max_request=4)  # typo
VectorizeVectorStore(index_nam="docs", path=":memory:")  # typo
store.query(query, top_k=4)  # typo
store.query(query, fusion="best")  # typo
store.query(query, similarity_cutof=0.5)  # typo
store.get_nodes(offsett=3)  # typo
store.update_metadata(["a"], removed=["m"])  # typo
store.create_metadata_index("n", "text")  # typo
store.compare(SimpleDocumentStore(), repaired=True)  # typo
store.compare(SimpleDocumentStore(), repair="every")  # typo
VectorizeVectorStore("docs", path=":memory:", text_index="docs")  # typo
""",
    "core": """
from vectorize_core import VectorizeClient

client = VectorizeClient.local()
client.create_index("docs", dimensions=32, metric="cosine")
index = client.index("docs")

client.create_index("docs", dimension=32)  # typo
client.create_index("docs", dimensions=32, metric="cosinus")  # typo
index.query([1.0], n_results=4)  # typo
index.upsert([], wiat=True)  # typo
index.delete(filter={"a": 1}, unindexed="scann")  # typo
""",
}


def page_program(page: Path) -> str:
    """The code of a page, each example in a function that is given what it takes for granted."""
    parts = [
        '# mypy: disable-error-code="no-any-return, no-untyped-def"',
        "# pyright: basic, reportUnusedExpression=false",
        "from typing import Any",
    ]
    imported: dict[str, str] = {}  # The last import of each name, by an earlier example.
    examples = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    for number, example in enumerate(examples):
        code = indent(example, "    ")
        tables = [symtable.symtable(f"async def example():\n{code}", page.name, "exec")]
        for table in tables:
            tables += table.get_children()
        used = {
            one.get_name() for table in tables for one in table.get_symbols() if one.is_global()
        }
        used -= {"example", *dir(builtins)}
        given = ", ".join(f"{name}: Any" for name in sorted(used - imported.keys()))
        again = "".join(f"    {imported[name]}\n" for name in sorted(used & imported.keys()))
        parts.append(f"async def example_{number}({given}) -> None:\n{again}{code}")
        for statement in ast.parse(example).body:
            if isinstance(statement, ast.ImportFrom):
                imported |= {one.name: ast.unparse(statement) for one in statement.names}
    return "\n\n".join(parts)


def found_by_mypy(folder: Path) -> list[tuple[str, int]]:
    # From here, to use what mypy remembers from checking this project.
    command = [sys.executable, "-m", "mypy", "--strict", *map(str, folder.glob("*.py"))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    found = re.findall(r"(\w+)\.py:(\d+): error", done.stdout)
    return [(name, int(line)) for name, line in found]


def found_by_pyright(folder: Path) -> list[tuple[str, int]]:
    settings = {"extraPaths": [str(ROOT)], "typeCheckingMode": "strict"}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)["generalDiagnostics"]
    return [(Path(one["file"]).stem, one["range"]["start"]["line"] + 1) for one in found]


no_pyright = pytest.mark.skipif(
    importlib.util.find_spec("pyright") is None, reason="pyright is not installed"
)


@pytest.mark.timeout(180)  # The frameworks are checked too, if mypy remembers nothing.
@pytest.mark.parametrize(
    "checker", [found_by_mypy, pytest.param(found_by_pyright, marks=no_pyright)]
)
def test_a_type_checker_reports_every_typo_and_nothing_else(
    tmp_path: Path, checker: Callable[[Path], list[tuple[str, int]]]
) -> None:
    typos = set()
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        (tmp_path / f"{page.stem.replace('-', '_')}_page.py").write_text(page_program(page))
    for name, program in PROGRAMS.items():
        (tmp_path / f"{name}_program.py").write_text(program)
        lines = enumerate(program.splitlines(), start=1)
        typos |= {(f"{name}_program", number) for number, line in lines if "# typo" in line}
    assert set(checker(tmp_path)) == typos


def langchain_store(**options: Any) -> langchain_vectorize.VectorizeVectorStore:
    return langchain_vectorize.VectorizeVectorStore.local(Embedder(), index_name="docs", **options)


def llama_index_store(**options: Any) -> llama_index_vectorize.VectorizeVectorStore:
    return llama_index_vectorize.VectorizeVectorStore("docs", path=":memory:", **options)


QUERY = VectorStoreQuery()
INSTEAD_OF_D1 = re.escape('texts=D1Texts("<database id>")')
HINTS: list[tuple[Callable[..., Any], str, tuple[Any, ...], str, str]] = [
    (langchain_store, "add_texts", (["a"],), "wiat", "did you mean 'wait'"),
    (langchain_store, "add_texts", (["a"],), "metadata", "did you mean 'metadatas'"),
    (langchain_store, "add_documents", ([],), "chunk_size", "did you mean 'batch_size'"),
    (langchain_store, "similarity_search", ("q",), "top_k", "did you mean 'k'"),
    (langchain_store, "similarity_search", ("q",), "n_results", "did you mean 'k'"),
    (langchain_store, "similarity_search", ("q",), "limit", "did you mean 'k'"),
    (langchain_store, "similarity_search", ("q",), "where", "did you mean 'filter'"),
    (langchain_store, "similarity_search", ("q",), "expr", "did you mean 'filter'"),
    (langchain_store, "max_marginal_relevance_search", ("q",), "num_results", "did you mean 'k'"),
    (langchain_store, "delete", (), "where", "did you mean 'filter'"),
    (langchain_store, "get", (), "where", "did you mean 'filter'"),
    (langchain_store, "get", (), "includes", "did you mean 'include'"),
    (langchain_store, "similarity_search", ("q",), "threshold", "did you mean 'score_threshold'"),
    (langchain_store, "similarity_search_with_vectors", ("q",), "where", "did you mean 'filter'"),
    (langchain_store, "update_metadata", (["a"], {}), "removed", "did you mean 'remove'"),
    (langchain_store, "create_metadata_index", ("a", "string"), "timeout", "mean 'wait_timeout'"),
    (langchain_store, "compare", (None,), "key_encoding", "did you mean 'key_encoder'"),
    (langchain_store, "reset", (), "wait", "it takes none"),
    (
        langchain_store,
        "add_texts",
        (["a"],),
        "score_threshold",
        r"similarity_search\(\) takes that",
    ),
    (langchain_store, "count", (), "filters", "did you mean 'filter'"),
    (langchain_store, "await_writes", (), "timeout", "did you mean 'wait_timeout'"),
    (langchain_store, "as_retriever", (), "search_typ", "did you mean 'search_type'"),
    (langchain_store, "add_texts", (["a"],), "n_results", r"similarity_search\(\) takes 'k'"),
    (langchain_store, "similarity_search", ("q",), "search_mode", "did you mean 'retrieval_mode'"),
    (langchain_store, "similarity_search", ("q",), "hybrid_fusion", "did you mean 'fusion'"),
    (langchain_store, "similarity_search", ("q",), "text_index", r"VectorStore\(\) takes that"),
    (langchain_store, "delete", (), "retrieval_mode", r"similarity_search\(\) takes that"),
    (langchain_store, "as_retriever", (), "alpha", r"search_kwargs=\{...\} takes that"),
    (langchain_store, "similarity_search", ("q",), "search_type", r"as_retriever\(\) takes that"),
    (langchain_store, "from_texts", (["a"], Embedder()), "top_k", r"search\(\) takes 'k'"),
    (langchain_store, "as_retriever", (), "top_k", r"search_kwargs=\{...\} takes 'k'"),
    (langchain_store, "from_texts", (["a"], Embedder()), "index_nam", "mean 'index_name'"),
    (langchain_store, "from_texts", (["a"], Embedder()), "metadata", "mean 'metadatas'"),
    (langchain_store, "from_documents", ([], Embedder()), "collection_name", "mean 'index_name'"),
    (langchain_store, "afrom_texts", (["a"], Embedder()), "persist_directory", "mean 'path'"),
    (langchain_store, "from_existing_index", ("i", Embedder()), "bindin", "mean 'binding'"),
    (langchain_store, "local", (Embedder(),), "pth", "did you mean 'path'"),
    (llama_index_store, "add", ([],), "wiat", "did you mean 'wait'"),
    (llama_index_store, "query", (QUERY,), "top_k", "VectorStoreQuery.* 'similarity_top_k'"),
    (llama_index_store, "query", (QUERY,), "similarity_top_k", "VectorStoreQuery.* takes that"),
    (llama_index_store, "query", (QUERY,), "search_typ", "it takes "),
    (llama_index_store, "query", (QUERY,), "alpha", r"VectorStoreQuery\(\) takes that"),
    (llama_index_store, "add", ([],), "text_index", r"VectorizeVectorStore\(\) takes that"),
    (llama_index_store, "count", (), "fusion", r"query\(\) takes that"),
    (llama_index_store, "get_nodes", (["a"],), "where", "did you mean 'filters'"),
    (VectorizeClient.local, "create_index", ("docs",), "dimension", "did you mean 'dimensions'"),
    (AsyncVectorizeClient.local, "create_index", ("a",), "distance", "did you mean 'metric'"),
    (VectorizeClient.local, "get_index", (), "nam", "did you mean 'name'"),
    (lambda: VectorizeClient.local().index("docs"), "query", ([1.0],), "k", "mean 'top_k'"),
    (lambda: VectorizeClient.local().index("docs"), "count", (), "where", "mean 'filter'"),
]


@pytest.mark.parametrize(
    ("make", "method", "args", "wrong", "hint"), HINTS, ids=[f"{h[1]}-{h[3]}" for h in HINTS]
)
async def test_a_wrong_keyword_names_the_right_word(
    make: Callable[..., Any], method: str, args: tuple[Any, ...], wrong: str, hint: str
) -> None:
    store = make()

    async def called() -> None:
        coming = getattr(store, method)(*args, **{wrong: 1})
        if inspect.isawaitable(coming):
            await coming

    said = rf"{method}\(\) got an unexpected keyword argument '{wrong}'; .*{hint}"
    with pytest.raises(TypeError, match=f"^{type(store).__name__}.{said}"):
        await called()


@pytest.mark.parametrize(
    ("make", "method", "args", "said"),
    [
        # As Chroma, PGVector and Qdrant take them.
        (
            langchain_store,
            "similarity_search",
            ("q", 4, {"a": 1}),
            "query, k by .* by name .*filter",
        ),
        (langchain_store, "asimilarity_search", ("q", 4, {}), "query, k by .* by name .*filter"),
        (langchain_store, "update_documents", (["a"], []), "documents by .* by name .*ids"),
        (langchain_store, "from_texts", ([], Embedder(), [], []), "metadatas by .*name .*ids"),
        (langchain_store, "reset", (True,), "nothing by position .1 given., and nothing else"),
        (lambda: VectorizeClient.local().index("docs"), "query", ([1.0], 5, {}), "name .*filter"),
    ],
)
async def test_what_is_taken_by_name_only_is_told(
    make: Callable[..., Any], method: str, args: tuple[Any, ...], said: str
) -> None:
    store = make()
    name = f"{type(store).__name__}.{method}"
    with pytest.raises(TypeError, match=rf"^{name}\(\) takes .*{said}"):
        await getattr(store, method)(*args)


OF_CONSTRUCTORS: Mapping[str, str] = {
    "index_nam": "did you mean 'index_name'",
    "collection_name": "did you mean 'index_name'",
    "persist_directory": "did you mean 'path'",
    "chroma_collection": "did you mean 'index_name'",
    "url": "did you mean 'base_url'",
    "overwrite": r"it takes \w+, ",
    "embed_dim": r"VectorizeClient.create_index\(\) takes 'dimensions'",
    "dimension": r"VectorizeClient.create_index\(\) takes 'dimensions'",
    "distance_strategy": "did you mean 'metric'",
    "top_k": r"\(\) takes '(k|similarity_top_k)'",
    "vectorize_api_token": "did you mean 'api_token'",
    "d1_binding": re.escape("texts=D1Texts.from_binding(env.DB)"),
    "d1_database_id": INSTEAD_OF_D1,
    "enable_hybrid": "searches by words take text_index=True, or D1TextIndex",
}


@pytest.mark.parametrize("wrong", OF_CONSTRUCTORS)
@pytest.mark.parametrize("make", [langchain_store, llama_index_store])
def test_a_wrong_keyword_of_a_constructor_names_the_right_word(
    make: Callable[..., Any], wrong: str
) -> None:
    said = rf"\(\) got an unexpected keyword argument '{wrong}'; .*{OF_CONSTRUCTORS[wrong]}"
    with pytest.raises(TypeError, match=said):
        make(**{wrong: "1"})


def test_a_wrong_value_names_the_right_ones_whatever_else_is_asked() -> None:
    wrong: Any = "scann"
    with langchain_store() as store:
        calls = [
            lambda: store.similarity_search("q", unindexed=wrong),
            lambda: store.count(unindexed=wrong),
        ]
        with llama_index_store() as nodes, VectorizeClient.local() as client:
            index = client.index("docs")
            calls += [lambda: nodes.count(unindexed=wrong), lambda: index.count(unindexed=wrong)]
            for call in calls:
                with pytest.raises(InvalidInputError, match="unindexed is 'error' or 'scan'; got"):
                    call()


def test_the_kwargs_of_a_retriever_are_checked_when_it_is_made() -> None:
    wrong: Any = {"kk": 4}
    said = "^search_kwargs got an unexpected keyword argument 'kk'; did you mean 'k'"
    with langchain_store() as store, pytest.raises(TypeError, match=said):
        store.as_retriever(search_kwargs=wrong)


def test_a_client_names_the_right_word() -> None:
    with pytest.raises(TypeError, match=r"create_index\(\) takes 'dimensions'"):
        VectorizeClient(dimension=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"^VectorizeClient\(\) .*did you mean 'account_id'"):
        VectorizeClient(acount_id="a")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("settings", "wrong", "right"),
    [
        (Behavior, "proces_delay", "process_delay"),
        (RetryPolicy, "read_dedline", "read_deadline"),
        (RateLimit, "request", "requests"),
        (Settings, "tokn", "token"),
        (Settings, "persist_dir", None),
        (Service, "behaviour", "behavior"),
        (SqliteTexts, "persist_directory", "path"),
        (SqliteTextIndex, "tokeniser", "tokenizer"),
        (partial(D1Texts, "id"), "tabel", "table"),
        (partial(D1Texts.from_binding, None), "tabel", "table"),
        (partial(D1TextIndex, "id"), "clients", "client"),
        (partial(langchain_vectorize.BaseStoreTexts, None), "as_byte", "as_bytes"),
        (partial(llama_index_vectorize.KVStoreTexts, None), "colection", "collection"),
    ],
)
def test_settings_name_the_right_word(settings: Any, wrong: str, right: str | None) -> None:
    name = getattr(settings, "func", settings).__qualname__
    hint = f"did you mean '{right}'\\?$" if right else "it takes data, behavior, "
    with pytest.raises(TypeError, match=rf"^{name}\(\) .* '{wrong}'; {hint}"):
        settings(**{wrong: 1})


def test_a_server_in_a_thread_says_what_takes_its_settings() -> None:
    with pytest.raises(TypeError, match=r"'data'; Settings\(\) takes that"):
        BackgroundServer(data=":memory:")  # type: ignore[call-arg]


class Subclass(langchain_vectorize.VectorizeVectorStore):
    def __init__(self, *args: Any, extra: int = 0, **options: Any) -> None:
        super().__init__(*args, **options)
        self.extra = extra


def test_a_subclass_that_takes_more_is_made_of_texts_too() -> None:
    options: dict[str, Any] = {"index_name": "docs", "path": ":memory:", "extra": 1}
    with Subclass.from_texts(["a"], Embedder(), **options) as store:
        assert store.extra == 1
    with pytest.raises(TypeError, match=r"^Subclass\(\) .*'index_nam'; did you mean 'index_name'"):
        Subclass.from_texts(["a"], Embedder(), index_nam="docs")  # type: ignore[call-arg]
