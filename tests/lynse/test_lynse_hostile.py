"""Texts that SQL or JSON could be made of are only ids, namespaces, values, names and words."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from tests.kinds import LANGCHAIN
from tests.lynse.servers import KEY, Lynse
from tests.lynse.test_lynse_words import check
from tests.nightly import sized
from vectorize_core import (
    ConfigurationError,
    IndexNotFoundError,
    InvalidInputError,
    Vector,
    VectorizeError,
)
from vectorize_core.api.by_words import TextQuery
from vectorize_core.lynse import LynseClient
from vectorize_core.transport.io import run

ONES = np.ones(32, np.float32)
PIECES = [
    *("'", "''", '"', "`", ";", "--", "/*", "*/", "\\", "\\'", "%", "_", "(", ")", "((", "[", "]"),
    *("{", "}", ",", ".", "#", "#0", "#1", "$", ":", "=", "<", ">", "!", "?", "*", "|", "&", "\0"),
    *("\n", "\r", "\t", " ", "\u2028", "\u202e", "\ufeff", "é", "日", "😀", "\x1b", "\x7f", "ß"),
    *(
        "DROP TABLE fields_v2",
        "DELETE FROM fields_v2",
        "UNION SELECT 1",
        " OR 1=1",
        " AND ",
        " IN ",
    ),
    *("NULL", "null", "true", "1e5", "-0", "NaN", "J", "x", "-", "text", "doc", "meta", "LIKE"),
    *("COPY fields_v2 TO '/tmp/x'", "../", "/etc/passwd", "%00", "${x}", "{{x}}", "read_csv"),
]


def hostile(count: int) -> list[str]:
    random_, found = random.Random(count), set(PIECES)
    while len(found) < count:
        made = "".join(random_.choices(PIECES, k=random_.randint(1, 5)))
        found.add(made.encode()[:60].decode(errors="ignore") or "a")
    return sorted(found)


def test_hostile_texts_are_only_texts(lynse: LynseClient) -> None:
    lynse.indexes().create_index(
        "docs", dimensions=32, metric="cosine", metadata_indexes={"value": "string"}
    )
    index, texts = lynse.index("docs"), hostile(sized(200, 2_000))
    records = [Vector(one, ONES, one, {"value": one, "text": one, "list": [one]}) for one in texts]
    index.upsert(records)
    assert list(index.get(texts)) == records
    for one in texts[:: sized(20, 1)]:
        found = index.query(ONES, top_k=5, namespace=one, filter={"value": {"$in": [one, "no"]}})
        assert [match.id for match in found] == [one]
    index.delete(texts[::2])
    assert sorted(index.list_ids()) == texts[1::2]
    assert list(index.get(texts[1::2])) == records[1::2]


def test_hostile_questions_are_only_words(lynse: LynseClient) -> None:
    store = LANGCHAIN.over(lynse)
    texts = {f"r{n}": text for n, text in enumerate(hostile(sized(200, 2_000)))}
    store.add_texts([*texts.values()], ids=[*texts])
    for one in [*texts.values()][:: sized(20, 1)]:
        found = store.similarity_search_with_score(one, k=5, retrieval_mode="text")
        check([(str(document.id), score) for document, score in found], texts, one, 5)
    read = store.get_by_ids([*texts])
    assert [document.page_content for document in read] == [*texts.values()]


def test_questions_that_are_no_unicode_find_the_words_they_have(lynse: LynseClient) -> None:
    store = LANGCHAIN.over(lynse)
    store.add_texts(["a fox"])
    for mode in ("text", "hybrid"):
        found = store.similarity_search("\ud800 fox", retrieval_mode=mode)
        assert [document.page_content for document in found] == ["a fox"]
    assert store.similarity_search("\ud800", retrieval_mode="text") == []
    place: dict[str, Any] = {"index": "docs", "text": "fox", "text_key": "text"}
    for only in ({"ids": ("\ud800",)}, {"namespace": "\ud800"}):
        asked = TextQuery(**place, **only)
        assert run(lynse.connection.io().call(asked)).matches == ()
    with pytest.raises(ConfigurationError, match="text_key is a key of metadata"):
        LynseClient("http://host", text_key="\ud800")


def test_hostile_names_are_no_indexes(new_lynse: Lynse, lynse: LynseClient) -> None:
    for one in hostile(sized(200, 2_000)):
        with pytest.raises((InvalidInputError, IndexNotFoundError)):
            lynse.index(one).info()
    for one in PIECES:
        with (
            pytest.raises(VectorizeError),
            LynseClient(new_lynse.url, database=one, api_key=KEY) as client,
        ):
            client.index("docs").info()
    assert lynse.database(str(lynse._database)).show_collections() == ()
