"""Answers that no Vectorize gives: each is an error that names the place, never a wrong value."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.api.test_operations import ANSWERS, INDEX, INFO, TWO
from tests.core.helpers import Answer, Cloudflare, Variant, both_variants, ok, plain
from tests.nightly import examples
from vectorize_core import UnexpectedAnswerError, VectorizeError
from vectorize_core.api.coverage import CountUncovered
from vectorize_core.api.d1 import ReadD1, WriteD1
from vectorize_core.api.operations import (
    CreateIndex,
    CreateMetadataIndex,
    DeleteByIds,
    DeleteMetadataIndex,
    GetByIds,
    GetIndex,
    GetInfo,
    Insert,
    ListIndexes,
    ListMetadataIndexes,
    ListVectors,
    Op,
    Query,
    Upsert,
)
from vectorize_core.models import IndexConfig, as_values

HUGE = 10**30
DEEP: Any = "x"
for _ in range(200):
    DEEP = {"a": [DEEP]}
FOUR = as_values([0.5] * 4)
FIVE = Query("docs", FOUR, top_k=5)
WHOLE = Query("docs", FOUR, return_values=True, return_metadata="all")
MINE = Query("docs", FOUR, namespace="mine")
BY_ID = Query("docs", vector_id="a", return_values=True)
SOME = GetByIds("docs", ("a", "b", "c"))
LIST = ListVectors("docs", 3)
READ = ReadD1("db", (("SELECT 1", ()),))
WRITE = WriteD1("db", (("DELETE FROM t", ()),))
NOT_OBJECTS: list[Any] = [None, [], "done", 1, True, 0.5]
NOT_LISTS: list[Any] = [None, {}, "done", 1, True]
NOT_TEXTS: list[Any] = [None, "", 7, 0.5, True, ["a"], {"a": 1}]
NOT_COUNTS: list[Any] = [None, -1, 2.5, "7", True, [7], {}, HUGE]
NOT_DIMENSIONS: list[Any] = [*NOT_COUNTS, 0, 2**40]
NOT_TIMES: list[Any] = ["yesterday", "", 1714483496, True, [], {}, "2026-13-01T00:00:00Z"]
NOT_SCORES: list[Any] = ["NaN", "0.5", None, True, False, [0.5], {}]
NOT_VALUES: list[Any] = ["abcd", {"0": 1.0}, [], 7, True, [0.5] * 3, [0.5] * 5]
NOT_NUMBERS: list[Any] = [
    "0.5",
    None,
    True,
    False,
    [0.5],
    {},
    1e39,
    -1e39,
    2.0**128 - 2.0**103,
    HUGE * 10**30,
]


def match(**more: Any) -> dict[str, Any]:
    return {"id": "a", "score": 0.5, **more}


def found(*matches: Any, **more: Any) -> dict[str, Any]:
    return {"count": len(matches), "matches": matches, **more}


def stored(**more: Any) -> dict[str, Any]:
    return {"id": "a", "values": [0.5] * 4, **more}


def page(*ids: Any, **more: Any) -> dict[str, Any]:
    vectors = [{"id": i} for i in ids]
    return {"count": len(ids), "totalCount": 9, "isTruncated": False, "vectors": vectors, **more}


def kinds(*indexes: Any) -> dict[str, Any]:
    return {"metadataIndexes": indexes}


Wrong = dict[str, tuple[Op[Any], str, list[Any]]]


def wrong_answers() -> Wrong:  # noqa: PLR0912, PLR0915
    """Operations, the place that the error names, and results of answers that are wrong there."""
    table: Wrong = {}

    def add(op: Op[Any], place: str, *results: Any) -> None:
        table[f"{len(table)}: {op} {place}"] = op, place, [*results]

    create = CreateIndex("docs", IndexConfig(1024))
    for op in (create, GetIndex("docs")):
        add(op, "result", *NOT_OBJECTS)
        add(op, "name", *({**INDEX, "name": value} for value in [*NOT_TEXTS, "other"]))
        add(op, "config", *({**INDEX, "config": value} for value in NOT_OBJECTS))
        for at in ("created_on", "modified_on"):
            add(op, at, *({**INDEX, at: value} for value in NOT_TIMES))
        add(op, "description", *({**INDEX, "description": value} for value in (1, [], True)))
        for value in NOT_DIMENSIONS:
            config = {"dimensions": value, "metric": "cosine"}
            add(op, "config.dimensions", {**INDEX, "config": config})
        for value in [None, "", "manhattan", "COSINE", 1, ["cosine"], {}]:
            config = {"dimensions": 1024, "metric": value}
            add(op, "config.metric", {**INDEX, "config": config})
    for config in (
        {"dimensions": 32, "metric": "cosine"},
        {"dimensions": 1024, "metric": "euclidean"},
    ):
        add(create, "config", {**INDEX, "config": config})

    add(ListIndexes(), "result", *NOT_LISTS)
    add(ListIndexes(), "result[1]", *([INDEX, value] for value in NOT_OBJECTS))
    add(ListIndexes(), "result[1].name", [INDEX, {**INDEX, "name": 1}], [INDEX, INDEX])
    add(ListIndexes(), "result[0].config", [{**INDEX, "config": None}])

    info = GetInfo("docs")
    add(info, "result", *NOT_OBJECTS)
    add(info, "dimensions", *({**INFO, "dimensions": value} for value in NOT_DIMENSIONS))
    add(info, "vectorCount", *({**INFO, "vectorCount": value} for value in NOT_COUNTS))
    for at, wrong in (
        ("processedUpToDatetime", NOT_TIMES),
        ("processedUpToMutation", NOT_TEXTS[1:]),
    ):
        add(info, at, *({**INFO, at: value} for value in wrong))

    receipts: list[Op[Any]] = [
        Insert("docs", TWO),
        Upsert("docs", TWO),
        DeleteByIds("docs", ("a",)),
        CreateMetadataIndex("docs", "year", "number"),
        DeleteMetadataIndex("docs", "year"),
    ]
    for op in receipts:
        add(op, "result", *NOT_OBJECTS[1:])
        add(op, "mutationId", *({"mutationId": value} for value in NOT_TEXTS[1:]))

    add(FIVE, "result", *NOT_OBJECTS)
    add(FIVE, "matches", *({"count": 0, "matches": value} for value in NOT_LISTS))
    add(FIVE, "matches[1]", *(found(match(), value) for value in NOT_OBJECTS))
    add(FIVE, "matches[0].id", *(found(match(id=value)) for value in NOT_TEXTS))
    add(FIVE, "matches[0].score", *(found(match(score=value)) for value in NOT_SCORES))
    add(FIVE, "matches[0].metadata", *(found(match(metadata=v)) for v in [[], "x", 1, True, DEEP]))
    add(FIVE, "matches[0].namespace", *(found(match(namespace=value)) for value in [1, True, []]))
    add(FIVE, "matches[0].values", *(found(match(values=value)) for value in NOT_VALUES))
    for value in NOT_NUMBERS:
        add(FIVE, "matches[0].values[2]", found(match(values=[0.0, 0.5, value, 1.0])))
    add(FIVE, "matches[1].id", found(match(), match(score=0.4)))
    add(FIVE, "6 matches", found(*(match(id=str(n)) for n in range(6))))
    add(FIVE, "500 matches", found(*(match(id=str(n)) for n in range(500))))
    add(FIVE, "count", *(found(match(), count=value) for value in [*NOT_COUNTS[1:], 0, 2]))
    add(WHOLE, "matches[0].values", found(match()), found(match(values=None)))
    add(MINE, "matches[0].namespace", found(match(namespace="theirs")), found(match(namespace="")))
    of_other_lengths = [match(values=[0.5] * 4), match(id="b", values=[0.5] * 3)]
    add(FIVE, "matches[1].values[3]", found(match(), match(id="b", values=[0.5, 0.0, 1.0, True])))
    add(BY_ID, "matches[1].values", found(*of_other_lengths))

    add(SOME, "result", *NOT_LISTS)
    add(SOME, "result[1]", *([stored(), value] for value in NOT_OBJECTS))
    add(SOME, "result[0].id", *([stored(id=value)] for value in [*NOT_TEXTS, "not asked for"]))
    add(SOME, "result[0].metadata", *([stored(metadata=v)] for v in [[], "x", 1, True, DEEP]))
    add(SOME, "result[0].namespace", *([stored(namespace=value)] for value in [1, True, []]))
    add(SOME, "result[0].values", *([stored(values=v)] for v in [None, *NOT_VALUES[:-2]]))
    for value in NOT_NUMBERS:
        add(SOME, "result[1].values[2]", [stored(), stored(id="b", values=[1.0, 0.5, value, 0.0])])
    add(SOME, "result[1].id", [stored(), stored()])
    add(SOME, "result[1].values", [stored(), stored(id="b", values=[0.5] * 3)])

    add(LIST, "result", *NOT_OBJECTS)
    add(LIST, "vectors", *({**page(), "vectors": value} for value in NOT_LISTS))
    add(
        LIST,
        "vectors[1]",
        *({**page(), "count": 2, "vectors": [{"id": "a"}, v]} for v in NOT_OBJECTS),
    )
    add(LIST, "vectors[1].id", *(page("a", value) for value in NOT_TEXTS), page("a", "a"))
    add(LIST, "4 vectors", page("a", "b", "c", "d"))
    add(LIST, "count", *(page("a", count=value) for value in [*NOT_COUNTS[1:], 0, 2]))
    add(LIST, "totalCount", *(page("a", totalCount=value) for value in NOT_COUNTS[1:]))
    add(LIST, "isTruncated", *(page("a", isTruncated=value) for value in ["true", 1, [], {}]))
    for value in [*NOT_TEXTS, "c" * 100_000]:
        add(LIST, "nextCursor", page("a", isTruncated=True, nextCursor=value))
    for value in NOT_TIMES:
        add(LIST, "cursorExpirationTimestamp", page("a", cursorExpirationTimestamp=value))

    properties = ListMetadataIndexes("docs")
    add(properties, "result", *NOT_OBJECTS)
    add(properties, "metadataIndexes", *({"metadataIndexes": value} for value in NOT_LISTS))
    add(properties, "metadataIndexes[0]", *(kinds(value) for value in NOT_OBJECTS))
    for value in NOT_TEXTS:
        one = {"propertyName": value, "indexType": "String"}
        add(properties, "metadataIndexes[0].propertyName", kinds(one))
    for value in [*NOT_TEXTS, "date", "strings"]:
        one = {"propertyName": "year", "indexType": value}
        add(properties, "metadataIndexes[0].indexType", kinds(one))

    for op in (READ, WRITE):
        add(op, "result", *NOT_LISTS)
        add(op, "0 results of 1", [])
        add(op, "2 results of 1", [{"results": {"rows": []}}] * 2)
        add(op, "result[0]", *([value] for value in NOT_OBJECTS))
        add(op, "result[0].results", *([{"results": value}] for value in NOT_OBJECTS[1:]))
        add(
            op,
            "result[0].success",
            *([{"success": v, "results": {"rows": []}}] for v in (False, 1)),
        )
        add(op, "result[0].results.rows", *([{"results": {"rows": value}}] for value in NOT_LISTS))
        add(op, "result[0].results.rows[0]", *([{"results": {"rows": [v]}}] for v in NOT_LISTS))
        add(op, "result[0].results.columns", [{"results": {"rows": [], "columns": "id"}}])
        add(op, "result[0].results.rows[0]", [{"results": {"rows": [[1]], "columns": ["a", "b"]}}])
    add(READ, "result[0].results", [{"success": True}])
    return table


WRONG = wrong_answers()


@both_variants
@pytest.mark.parametrize(("op", "place", "results"), WRONG.values(), ids=WRONG)
async def test_what_is_not_as_it_was_asked_for_is_an_error_that_names_the_place(
    variant: Variant, op: Op[Any], place: str, results: list[Any]
) -> None:
    assert results
    for result in results:
        with pytest.raises(UnexpectedAnswerError) as caught:
            await variant.send(Cloudflare(ok(result)).executor(), op)
        said = str(caught.value)
        assert said.startswith(f"{op}: the answer is not what the API documents: {place}")
        assert len(said) < 500


@pytest.mark.parametrize(
    ("op", "result", "shown"),
    [
        (FIVE, found(match(score="NaN")), "matches[0].score is 'NaN' (str), not a finite number"),
        (FIVE, found(match(id=7)), "matches[0].id is 7 (int), not the id of a vector"),
        (FIVE, found(match(values=[0.5] * 7)), "matches[0].values has 7 values, not 4"),
        (FIVE, found(match(), match()), "matches[1].id is 'a' (str), like that of matches[0]"),
        (FIVE, found(*[match()] * 500), "500 matches, where 5 were asked for"),
        (GetIndex("docs"), {}, "name is missing or null, not a text that is not empty"),
    ],
)
def test_an_error_says_what_was_there_and_what_should_be(
    op: Op[Any], result: Any, shown: str
) -> None:
    with pytest.raises(UnexpectedAnswerError) as caught:
        Cloudflare(ok(result)).executor().send(op)
    assert str(caught.value).endswith(shown)


def test_an_error_does_not_name_a_record_that_was_not_asked_for() -> None:
    with pytest.raises(UnexpectedAnswerError, match="none of those that were asked") as caught:
        Cloudflare(ok([stored(id="their id", metadata="theirs")])).executor().send(SOME)
    assert "their id" not in str(caught.value)


@pytest.mark.parametrize("huge", [10**400, -(10**400)])
def test_a_number_beyond_all_floats_is_an_error_too(huge: int) -> None:
    for op, result in (
        (FIVE, found(match(score=huge))),
        (FIVE, found(match(values=[huge] * 4))),
        (GetInfo("docs"), {**INFO, "vectorCount": huge}),
    ):
        with pytest.raises(UnexpectedAnswerError, match=" is "):
            op.read(result)


def test_an_error_tells_nothing_of_a_record_of_another_namespace() -> None:
    theirs = match(id="their id", namespace="theirs", metadata=["their text"], score="their score")
    with pytest.raises(UnexpectedAnswerError) as caught:
        Cloudflare(ok(found(match(namespace="mine"), theirs))).executor().send(MINE)
    assert "matches[1].namespace" in str(caught.value)
    assert "their" not in str(caught.value)


TOLERATED: dict[str, tuple[Op[Any], Any, Any]] = {
    "whole numbers as floats": (
        GetInfo("docs"),
        {"dimensions": 32.0, "vectorCount": 7.0},
        {"dimensions": 32, "vector_count": 7},
    ),
    "a match without a namespace": (MINE, found(match(namespace=None)), {"count": 1}),
    "matches without a count": (FIVE, {"matches": [match()]}, {"count": 1}),
    "a whole number for a score": (FIVE, found(match(score=1)), {"count": 1}),
    "values of 0 and 1": (FIVE, found(match(values=[0, 1, 0.0, -0.0])), {"count": 1}),
    "an answer that says more": (FIVE, found(match(more=1), took=3), {"count": 1}),
    "no metadata": (WHOLE, found(match(values=[1e-45, 0.5, 3e38, 0])), {"count": 1}),
    "fewer than were asked for": (SOME, [stored(id="c")], None),
    "no count of all": (LIST, {"vectors": [{"id": "a"}]}, {"total_count": 1, "next_cursor": None}),
    "a cursor without a word": (
        LIST,
        {"vectors": [{"id": "a"}], "nextCursor": "c"},
        {"next_cursor": "c"},
    ),
    "a property that is indexed twice": (
        ListMetadataIndexes("docs"),
        kinds(*[{"propertyName": "a", "indexType": "STRING"}] * 2),
        None,
    ),
    "a name in small letters": (GetIndex("DOCS"), INDEX, {"name": "docs"}),
    "a time without a zone": (
        GetIndex("docs"),
        {**INDEX, "created_on": "2026-04-30T13:24:56"},
        {"created_on": datetime(2026, 4, 30, 13, 24, 56, tzinfo=UTC)},
    ),
    "no mutation id": (Upsert("docs", TWO), {}, {"mutation_id": None}),
    "a statement that has no rows": (WRITE, [{"success": True, "meta": {}}], None),
}


@pytest.mark.parametrize(("op", "result", "values"), TOLERATED.values(), ids=TOLERATED)
def test_what_may_differ_is_read(op: Op[Any], result: Any, values: dict[str, Any] | None) -> None:
    read = plain(Cloudflare(ok(result)).executor().send(op).result)
    assert values is None or {**read, **values} == read


def test_the_count_of_vectors_outside_an_index_is_a_whole_number() -> None:
    op = CountUncovered("docs", "year")
    assert op.read(3) == 3
    for wrong in NOT_COUNTS:
        with pytest.raises(UnexpectedAnswerError, match="result is"):
            op.read(wrong)


@both_variants
@pytest.mark.parametrize("success", ["true", 1, 0, "", [], {}, 0.5])
async def test_a_success_that_is_neither_true_nor_false_is_none(
    variant: Variant, success: Any
) -> None:
    content = json.dumps({"success": success, "result": []}).encode()
    with pytest.raises(UnexpectedAnswerError, match="ListIndexes: HTTP 200, whose success is"):
        await variant.send(Cloudflare(Answer(200, content)).executor(), ListIndexes())


BROKEN = {
    "NaN": (b'"score":NaN', "NaN"),
    "Infinity": (b'"score":-Infinity', "-Infinity"),
    "too large": (b'"score":1e999', "1e999"),
    "ten thousand digits": (b'"score":' + b"9" * 10_000, "9" * 20),
    "a lone surrogate": (b'"score":1,"metadata":{"a":"\\ud835"}', "ud835"),
    "too deep": (b'"score":1,"metadata":{"a":' + b"[" * 5_000 + b"]" * 5_000 + b"}", "[" * 20),
}


@both_variants
@pytest.mark.parametrize(("content", "near"), BROKEN.values(), ids=BROKEN)
async def test_what_json_cannot_say_is_shown(variant: Variant, content: bytes, near: str) -> None:
    whole = b'{"success":true,"result":{"matches":[{"id":"a",%b}]}}' % content
    with pytest.raises(UnexpectedAnswerError, match="it is no JSON") as caught:
        await variant.send(Cloudflare(Answer(200, whole)).executor(), FIVE)
    assert near in str(caught.value)
    assert len(str(caught.value)) < 500


ODD_ERRORS = {
    "numbers": [1, 2.5, True],
    "texts of other types": [{"code": True, "message": {"a": 1}, "documentation_url": [1]}],
    "nothing": [None, {}, [], ""],
    "deep": [DEEP, {"message": DEEP, "source": {"pointer": DEEP}}],
    "too many": [{"code": 1, "message": "a"}] * 100_000,
    "endless": [{"code": 1, "message": "a" * 5_000_000}],
    "more than a line": [{"code": 1, "message": "a\r\nERROR forged \x1b[31m \u2028 \u202e"}],
}


@both_variants
@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("errors", ODD_ERRORS.values(), ids=ODD_ERRORS)
async def test_odd_errors_of_an_answer_are_one_short_line_each(
    variant: Variant, errors: Any, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    envelope = {"success": status == 200, "result": [], "errors": errors, "messages": errors}
    executor = Cloudflare(Answer(status, json.dumps(envelope).encode())).executor()
    said = ""
    try:
        await variant.send(executor, ListIndexes())
    except VectorizeError as error:
        said = str(error)
    lines = [said, *(record.getMessage() for record in caplog.records)]
    assert all(line.isprintable() for line in lines)
    assert len("".join(lines)) < 100_000


NAMES = """id score values metadata namespace matches count name config dimensions metric vectors
totalCount isTruncated nextCursor vectorCount processedUpToMutation processedUpToDatetime mutationId
metadataIndexes propertyName indexType results rows columns""".split()  # noqa: SIM905
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["a", "docs", "cosine", "String", "2026-01-01"])
)
json_values = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)
    ),
    max_leaves=12,
)
VALID: list[tuple[Op[Any], Any]] = [
    *((op, result) for op, result, _ in ANSWERS.values()),
    (WHOLE, found(match(values=[0.5] * 4, metadata={"a": 1}, namespace="n"))),
    (MINE, found(match(namespace="mine"), match(id="b", score=0.1))),
    (SOME, [stored(), stored(id="b", namespace="n", metadata={})]),
    (READ, [{"success": True, "results": {"columns": ["a"], "rows": [["x"], [1]]}}]),
    (WRITE, [{"success": True, "results": {"columns": [], "rows": []}}]),
]


def with_one_changed(draw: st.DrawFn, value: Any) -> Any:
    """``value`` with something inside it replaced by anything."""
    if not isinstance(value, (dict, list, tuple)) or not value or draw(st.integers(0, 3)) == 0:
        return draw(json_values)
    if isinstance(value, dict):
        name = draw(st.sampled_from(sorted(value)))
        return {**value, name: with_one_changed(draw, value[name])}
    at = draw(st.integers(0, len(value) - 1))
    return [*value[:at], with_one_changed(draw, value[at]), *value[at + 1 :]]


@st.composite
def changed_answers(draw: st.DrawFn) -> tuple[Op[Any], Any]:
    op, result = draw(st.sampled_from(VALID))
    return op, with_one_changed(draw, result)


@examples(400)
@given(changed_answers())
def test_any_json_is_a_value_or_an_error_that_names_the_operation(
    changed: tuple[Op[Any], Any],
) -> None:
    op, result = changed
    try:
        Cloudflare(ok(result)).executor().send(op)
    except UnexpectedAnswerError as error:
        assert str(error).startswith(f"{op}: ")  # noqa: PT017
