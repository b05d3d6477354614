"""Answers with more values than the service has to tell are not read."""

from __future__ import annotations

import tracemalloc
from typing import Any

import orjson
import pytest

from tests.core.helpers import Answer, Cloudflare, Variant, both_variants
from vectorize_core import ServerError, UnexpectedAnswerError
from vectorize_core.api.crowded import is_crowded
from vectorize_core.api.operations import ListIndexes

SIZE = 5 * 2**20


def repeated(part: bytes) -> bytes:
    return b"[" + part * (SIZE // len(part)) + b"1]"


@pytest.mark.parametrize(
    "part",
    [
        b"[],",
        b"{},",
        b"1,",
        b"null,",
        b'"ab",',
        b'{"":[]},',
        b"[" * 9 + b"]" * 9 + b",",
        b'"\\"",',
        b'"\\\\",',
        b'",",',
        b"[ ], \n",
    ],
)
def test_many_values_in_few_bytes_are_too_many(part: bytes) -> None:
    text = repeated(part)
    assert is_crowded(text)
    assert is_crowded(bytearray(text))
    assert not is_crowded(text[: SIZE // 2])


INDEX = {"name": "docs", "config": {"dimensions": 32, "metric": "cosine"}}
TEXTS = [",", "[{,", '"', '\\"', "\\", '\\",', '",",', ",1,\u00e9\U0001f600"]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("times", [50, 1_000, 2**20, SIZE])
def test_commas_of_texts_are_no_values(text: str, times: int) -> None:
    one = (text * times)[:times]
    assert not is_crowded(orjson.dumps([one] * (SIZE // len(one) + 1)))


@pytest.mark.parametrize(
    "value",
    [
        [INDEX] * 100_000,
        [[str(n).zfill(36), "a text"] for n in range(200_000)],
        [[0.12345678901234567] * 1536] * 300,
        ["a" * SIZE],
    ],
    ids=["indexes", "rows", "values", "text"],
)
def test_large_answers_are_read(value: Any) -> None:
    text = orjson.dumps(value)
    assert len(text) > 2**22
    assert not is_crowded(text)


@pytest.mark.parametrize("status", [200, 503])
@both_variants
async def test_such_an_answer_is_an_error(variant: Variant, status: int) -> None:
    content = b'{"success": true, "result": ' + repeated(b"[],") + b"}"
    expected = UnexpectedAnswerError if status == 200 else ServerError
    tracemalloc.start()
    try:
        with pytest.raises(expected, match=f"HTTP {status}"):
            await variant.send(Cloudflare(Answer(status, content)).executor(), ListIndexes())
        # As objects it would take thirty times its length.
        assert tracemalloc.get_traced_memory()[1] < 6 * SIZE
    finally:
        tracemalloc.stop()
