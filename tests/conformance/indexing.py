"""What LangChain's ``index()`` and ``aindex()`` leave in a store: any that has `get_by_ids`."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.indexing import InMemoryRecordManager, aindex, index
from langchain_core.vectorstores import VectorStore

ENCODERS = ["sha1", "sha256", "sha512", "blake2b"]


def documents(texts: str, source: str = "a") -> list[Document]:
    """A document of every letter."""
    return [Document(text, metadata={"source": source}) for text in texts]


class Indexer:
    """A store, a record manager whose time moves on, and either variant of the indexing API."""

    def __init__(self, store: VectorStore, awaited: bool, namespace: str = "docs") -> None:
        self.store = store
        self.awaited = awaited
        self.manager = InMemoryRecordManager(namespace)
        self.manager.create_schema()
        self._ever: set[str] = set()
        ticks = count(1)

        async def tick() -> float:
            return float(next(ticks))

        # Clean-up compares times, which must differ however fast the test runs.
        self.manager.get_time = lambda: float(next(ticks))  # type: ignore[method-assign]
        self.manager.aget_time = tick  # type: ignore[method-assign]

    async def run(self, given: Any, **options: Any) -> tuple[int, int, int, int]:
        """How many were added, updated, skipped, deleted."""
        options = {"key_encoder": "sha256", "source_id_key": "source", **options}
        if self.awaited:
            done = await aindex(given, self.manager, self.store, **options)
        else:
            done = index(given, self.manager, self.store, **options)
        return done["num_added"], done["num_updated"], done["num_skipped"], done["num_deleted"]

    def contents(self) -> list[str]:
        """The texts in the store; all that were ever in it are looked for."""
        keys = set(self.manager.list_keys())
        self._ever |= keys
        assert self.store.get_by_ids(sorted(self._ever - keys)) == []
        found = self.store.get_by_ids(sorted(keys))
        assert {document.id for document in found} == keys
        return sorted(document.page_content for document in found)

    def letters(self) -> str:
        """`contents` of one letter each."""
        return "".join(self.contents())


class IndexingSuite:
    """Inherit it, with a fixture ``store`` that yields an empty store."""

    encoders = tuple(ENCODERS)

    @pytest.fixture(params=[False, True], ids=["index", "aindex"])
    def indexer(self, store: VectorStore, request: pytest.FixtureRequest) -> Indexer:
        return Indexer(store, request.param)

    async def test_full_clean_up_leaves_what_was_given_last(self, indexer: Indexer) -> None:
        assert await indexer.run(documents("abc"), cleanup="full") == (3, 0, 0, 0)
        assert indexer.letters() == "abc"
        assert await indexer.run(documents("abc"), cleanup="full") == (0, 0, 3, 0)
        assert await indexer.run(documents("bcd"), cleanup="full") == (1, 0, 2, 1)
        assert indexer.letters() == "bcd"
        assert await indexer.run([], cleanup="full") == (0, 0, 0, 3)
        assert indexer.letters() == ""

    @pytest.mark.parametrize("cleanup", ["incremental", "scoped_full"])
    async def test_clean_up_by_source_leaves_other_sources(
        self, indexer: Indexer, cleanup: str
    ) -> None:
        both = documents("ab", "one") + documents("cd", "two")
        assert await indexer.run(both, cleanup=cleanup) == (4, 0, 0, 0)
        assert indexer.letters() == "abcd"
        assert await indexer.run(documents("ax", "one"), cleanup=cleanup) == (1, 0, 1, 1)
        assert indexer.letters() == "acdx"
        assert await indexer.run([], cleanup=cleanup) == (0, 0, 0, 0)
        assert indexer.letters() == "acdx"

    async def test_changed_metadata_makes_another_document(self, indexer: Indexer) -> None:
        await indexer.run([Document("a", metadata={"source": "s", "n": 1})], cleanup="incremental")
        changed = [Document("a", metadata={"source": "s", "n": 2})]
        assert await indexer.run(changed, cleanup="incremental") == (1, 0, 0, 1)
        assert indexer.letters() == "a"
        (found,) = indexer.store.get_by_ids(indexer.manager.list_keys())
        assert found.metadata == {"source": "s", "n": 2}

    async def test_without_clean_up_nothing_goes(self, indexer: Indexer) -> None:
        assert await indexer.run(documents("ab"), cleanup=None) == (2, 0, 0, 0)
        assert await indexer.run(documents("c"), cleanup=None) == (1, 0, 0, 0)
        assert indexer.letters() == "abc"

    async def test_forced_updates_write_what_is_there_again(self, indexer: Indexer) -> None:
        await indexer.run(documents("ab"))
        assert await indexer.run(documents("ab"), force_update=True) == (0, 2, 0, 0)
        assert indexer.letters() == "ab"

    async def test_equal_documents_are_one(self, indexer: Indexer) -> None:
        assert await indexer.run(documents("aab"), cleanup="full") == (2, 0, 1, 0)
        assert indexer.letters() == "ab"

    async def test_batches_may_be_of_one_document(self, indexer: Indexer) -> None:
        options = {"cleanup": "incremental", "batch_size": 1}
        assert await indexer.run(documents("abcab"), **options) == (3, 0, 2, 0)
        assert indexer.letters() == "abc"

    async def test_nothing_may_be_given(self, indexer: Indexer) -> None:
        for given in ([], iter(())):
            assert await indexer.run(given, cleanup="full") == (0, 0, 0, 0)
        assert indexer.letters() == ""

    @pytest.mark.parametrize("cleanup_batch_size", [17, 1000])
    @pytest.mark.covering(1)
    async def test_more_than_a_thousand_stale_documents_go(
        self, indexer: Indexer, cleanup_batch_size: int
    ) -> None:
        many = [Document(f"text {n}", metadata={"source": "a"}) for n in range(1_100)]
        options = {"cleanup": "full", "cleanup_batch_size": cleanup_batch_size}
        assert await indexer.run(many, batch_size=500, **options) == (1_100, 0, 0, 0)
        assert len(indexer.contents()) == 1_100
        assert await indexer.run(many[:20], **options) == (0, 0, 20, 1_080)
        assert indexer.contents() == sorted(f"text {n}" for n in range(20))

    @pytest.mark.filterwarnings("ignore:Using SHA-1")
    @pytest.mark.parametrize("key_encoder", ENCODERS)
    @pytest.mark.covering(1)
    async def test_every_key_encoder_that_fits_works(
        self, indexer: Indexer, key_encoder: Any
    ) -> None:
        options = {"cleanup": "full", "key_encoder": key_encoder}
        if key_encoder not in self.encoders:
            with pytest.raises(ValueError, match="key_encoder='sha256'"):
                await indexer.run(documents("ab"), **options)
            assert indexer.letters() == ""
            return
        assert await indexer.run(documents("ab"), **options) == (2, 0, 0, 0)
        assert await indexer.run(documents("bc"), **options) == (1, 0, 1, 1)
        assert indexer.letters() == "bc"

    async def test_keys_may_be_a_function_of_the_document(self, indexer: Indexer) -> None:
        options = {"cleanup": "full", "key_encoder": lambda document: document.page_content * 3}
        await indexer.run(documents("ab"), **options)
        assert sorted(indexer.manager.list_keys()) == ["aaa", "bbb"]
        assert indexer.letters() == "ab"
