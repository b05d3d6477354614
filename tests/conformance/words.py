"""A text index for suites that know of none, and what holds of it whatever they do."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest

from langchain_vectorize import VectorizeVectorStore
from vectorize_core import D1TextIndex


class NoWords:
    @pytest.fixture
    def text_index(self) -> Any:
        return None


class WordsBeside:
    """The words are kept beside the vectors."""

    @pytest.fixture
    def text_index(self) -> Any:
        return True


class WordsInD1:
    """The words are kept in a D1 database of the account."""

    @pytest.fixture
    def text_index(self) -> Any:
        return D1TextIndex("words")


def check_words(store: VectorizeVectorStore, text_index: Any) -> None:
    """What is in a store is found by its words."""
    if text_index is None:
        return
    for document in islice(store.iter_documents(), 20):
        text = document.page_content
        found = store.similarity_search(text, 100, retrieval_mode="text")
        assert document.id in {one.id for one in found if one.page_content == text}
