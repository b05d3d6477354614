"""A record that another client has edited is read: what has lost its meaning comes as it stands."""

from __future__ import annotations

import copy
import enum
import json
import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.layout.test_record import RECORDS
from tests.nightly import examples
from vectorize_core import F, UnreadableRecordError, layout
from vectorize_core.filters.evaluate import evaluate
from vectorize_core.layout import Record


class Color(enum.Enum):
    RED = "red"

    @classmethod
    def _missing_(cls, value: object) -> Color:
        raise KeyError(value)


VALUES: dict[str, Any] = {
    "datetime": datetime(2024, 5, 1, tzinfo=UTC),
    "date": date(2024, 5, 1),
    "time": time(12, 30),
    "timedelta": timedelta(seconds=1),
    "uuid": UUID(int=5),
    "decimal": Decimal("1.50"),
    "bytes": b"\xff",
    "tuple": (1, "b"),
    "set": {1},
    "frozenset": frozenset({1}),
    "enum": Color.RED,
    "none": None,
    "int": 2**60 + 1,
    "float": float("inf"),
    "dict": {1: 2},
}
RAW = ("?", "2024-05-01T25:00:00Z", "", 7, 0.5, -1e300, True, ["?"], [{}], {"a": 1}, {})
FILTERS = (
    F("key") == "a",
    F("key") != 1,
    F("key") > 5,
    F("key") <= "b",
    F("key").isin([1, "a", None]),
    F("key").contains("a"),
    F("key").like("%a_"),
    F("key.a") == 1,
    F("key").exists(False),
)


def edited(metadata: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Encoded metadata with other members in its ``_vs``."""
    extra = json.loads(metadata["_vs"])
    return {**metadata, "_vs": json.dumps({**extra, **changes})}


def is_read(metadata: Any) -> Record:
    """The record of metadata, on which filters work too."""
    before = copy.deepcopy(metadata)
    record = layout.decode("a", metadata)
    for expression in FILTERS:
        evaluate(expression, record)
    assert metadata == before
    return record


@pytest.mark.parametrize("kind", VALUES)
def test_a_property_of_another_form_comes_back_as_it_stands(kind: str) -> None:
    encoded = layout.encode(Record("a", "t", {"key": VALUES[kind], "other": date(2024, 5, 1)}))
    in_members = "m" in json.loads(encoded["_vs"])
    for raw in RAW:
        record = is_read({**encoded, "key": raw})
        assert (record.text, record.metadata["other"]) == ("t", date(2024, 5, 1))
        found = record.metadata["key"]
        if in_members:
            assert found == VALUES[kind]
        else:
            read_as_that_type = type(found) is type(VALUES[kind]) and kind != "none"
            assert found == raw or read_as_that_type, raw


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        ("date", "2024-05-01T00:00:00.000Z", "2024-05-01T00:00:00.000Z"),
        ("datetime", "2024-05-01T00:00:00.000Z", datetime(2024, 5, 1, tzinfo=UTC)),
        ("datetime", "1 May 2024", "1 May 2024"),
        ("timedelta", 1e6, timedelta(seconds=1)),
        ("timedelta", 0.5, 0.5),
        ("tuple", "abc", "abc"),
        ("set", [[1]], [[1]]),
        ("decimal", 1.5, 1.5),
        ("bytes", "_w==", "_w=="),
        ("uuid", 5, 5),
        ("enum", "blue", "blue"),
        ("none", "set", "set"),
        ("none", None, None),
    ],
)
def test_what_still_is_of_the_type_is_restored(kind: str, raw: Any, value: Any) -> None:
    encoded = layout.encode(Record("a", "t", {"key": VALUES[kind]}))
    found = is_read({**encoded, "key": raw}).metadata["key"]
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize("kind", [kind for kind in VALUES if kind not in ("int", "float", "dict")])
def test_a_property_that_was_removed_is_gone(kind: str) -> None:
    encoded = layout.encode(Record("a", "t", {"key": VALUES[kind], "b": 1}))
    encoded.pop("key", None)
    expected = {"b": 1, "key": None} if kind == "none" else {"b": 1}
    assert is_read(encoded).metadata == expected


@pytest.mark.parametrize(
    "tag",
    [
        5,
        None,
        "x",
        {},
        [],
        ["date"],
        ["date", "?"],
        ["date", 5],
        ["date", "2024-05-01", 1],
        ["newer", "form"],
        [5, 6],
        [["date"], "2024-05-01"],
        ["enum", "red"],
        ["enum", 5, "red"],
        ["int", "1.5"],
        ["int", 5],
        ["int", "9" * 5_000],
        ["float", []],
        ["dict", 5],
        ["dict", ["ab"]],
        ["dict", [[1]]],
        ["dict", [[[], 1]]],
        ["set", [{}]],
        ["tuple", "ab"],
        ["decimal", "?"],
        ["timedelta", 1e30],
        ["none", None],
    ],
    ids=str,
)
def test_a_tag_without_a_meaning_comes_back_as_it_stands_at_any_depth(tag: Any) -> None:
    raw = {"$": tag}
    nested = {"$": ["tuple", [raw, {"a": [raw]}]]}
    extra = {"v": 1, "m": [["key", raw], ["deep", nested]], "n": raw}
    record = is_read({"text": "t", "_vs": json.dumps(extra)})
    assert record.metadata == {"key": raw, "deep": (raw, {"a": [raw]})}
    assert record.text == "t"


@pytest.mark.parametrize(
    "changes",
    [
        {"y": 5},
        {"y": []},
        {"y": "date"},
        {"y": {"year": 5}},
        {"y": {"year": None, "gone": "date"}},
        {"y": {"year": ["date"], "year2": {}}},
        {"y": {"year": "newer"}},
        {"y": {"year": "enum:"}},
        {"y": {"year": "enum:sys:path"}},
        {"y": {"text": "date", "_vs": "date", "_vs_own": "none"}},
        {"m": 5},
        {"m": {"a": 1}},
        {"m": "ab"},
        {"m": [5, "ab", [], ["a"], [1, 2, 3], None, {"a": 1}]},
        {"m": [[[], 1], [{}, 1], [{"$": ["set", []]}, 1]]},
        {"n": 5},
        {"n": []},
        {"n": {"$": ["date", "2024-05-01"]}},
        {"t": 5},
        {"t": None},
        {"t": []},
        {"t": "_vs"},
        {"id": 5},
        {"id": ""},
        {"x": 5},
        {"x": "../etc/passwd"},
        {"x": ""},
        {"newer": {"key": 1}},
    ],
    ids=str,
)
def test_a_malformed_vs_leaves_the_rest_readable(changes: dict[str, Any]) -> None:
    encoded = layout.encode(Record("a", "t", {"year": 1863}), indexed=layout.METADATA_INDEXES)
    record = is_read(edited(encoded, **changes))
    assert (record.name, record.text, record.metadata) == ("a", "t", {"year": 1863})
    assert record.text_name is None
    assert record.node is None


NO_VS = (None, 5, True, [], {"v": 1}, "", "{", '{"v":1', "[]", "5", '"v"', "{}", '{"v":"1"}')
MORE = ('{"v":1.0}', '{"v":true}', '{"v":null}', "[" * 3_000, '{"v":1,"m":' + "[" * 3_000)


@pytest.mark.parametrize("raw", [*NO_VS, *MORE], ids=lambda raw: str(raw)[:20])
def test_what_is_no_vs_makes_a_foreign_vector(raw: Any) -> None:
    record = is_read({"text": "t", "year": 1863, "_vs": raw})
    assert (record.text, record.metadata) == ("t", {"year": 1863, "_vs": raw})


@pytest.mark.parametrize("text", [5, 0.5, True, ["a"], {"a": "b"}])
def test_a_text_that_is_no_string_any_more_is_read_as_json(text: Any) -> None:
    encoded = layout.encode(Record("a", "t", {"year": 1863}))
    record = is_read({**encoded, "text": text})
    assert json.loads(str(record.text)) == text
    assert record.metadata == {"year": 1863}


@pytest.mark.parametrize("metadata", [[], "text", 5], ids=str)
def test_metadata_that_is_no_object_is_none(metadata: Any) -> None:
    assert layout.decode("a", metadata) == Record("a", None)


def _nested(levels: int) -> Any:
    value: Any = "deepest"
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


def test_values_nested_as_deep_as_json_is_read_do_not_break_a_read() -> None:
    deep = _nested(950)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(5_000)
    try:
        vs = json.dumps({"v": 1, "m": [["deep", deep], ["b", {"$": ["tuple", [1, deep]]}]]})
    finally:
        sys.setrecursionlimit(limit)
    record = layout.decode("a", {"text": "t", "_vs": vs, "key": deep, "year": 1863})
    for expression in FILTERS:
        evaluate(expression, record)
        evaluate(F("deep").contains("deepest") | (F("b") == 1), record)
    assert (record.text, record.metadata["year"]) == ("t", 1863)


def test_only_a_newer_layout_is_an_error_that_names_the_vector() -> None:
    with pytest.raises(UnreadableRecordError, match=r"'a'.*layout 7.*Upgrade"):
        layout.decode("a", {"_vs": '{"v":7,"y":5}', "text": "t"})


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(("date", "enum:a:B", "2024-05-01", "$", "nan", "1")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=2) | st.just("$"), inner, max_size=2)
        | st.builds(
            lambda name, form: {"$": [name, form]},
            st.sampled_from(("int", "float", "dict", "enum", "none", *VALUES)),
            inner,
        )
    ),
    max_leaves=6,
)


def mutated(draw: st.DrawFn, value: Any) -> Any:
    """JSON with something inside it replaced, removed or added."""
    children = list(value) if isinstance(value, dict) else None
    if isinstance(value, list):
        children = list(range(len(value)))
    if not children or draw(st.integers(0, 3)) == 0:
        return draw(JSON)
    at = draw(st.sampled_from(children))
    changed = copy.copy(value)
    if draw(st.integers(0, 5)) == 0:
        del changed[at]
    else:
        changed[at] = mutated(draw, changed[at])
    return changed


@st.composite
def edits(draw: st.DrawFn) -> Any:
    """The metadata of a record, edited at random in one to four places."""
    record = draw(RECORDS)
    encoded = layout.encode(record, indexed=draw(st.sampled_from(((), layout.METADATA_INDEXES))))
    metadata = json.loads(json.dumps(encoded))
    for _ in range(draw(st.integers(1, 4))):
        if draw(st.booleans()):
            extra = mutated(draw, json.loads(metadata["_vs"]))
            if isinstance(extra, dict) and draw(st.integers(0, 9)):
                extra.setdefault("v", 1)
            metadata["_vs"] = json.dumps(extra)
        elif len(metadata) > 1:
            kept = metadata.pop("_vs")
            metadata = mutated(draw, metadata)
            metadata = {**metadata, "_vs": kept} if isinstance(metadata, dict) else {"_vs": kept}
    return metadata


@examples(150)
@given(edits(), st.sampled_from(("text", "page")))
def test_whatever_is_edited_a_read_ends_well(metadata: Any, text_key: str) -> None:
    try:
        record = layout.decode("a", metadata, text_key=text_key)
    except UnreadableRecordError:
        assert json.loads(metadata["_vs"])["v"] > 1
        return
    assert isinstance(record.metadata, dict)
    assert record.text is None or isinstance(record.text, str)
    for expression in FILTERS:
        evaluate(expression, record)
    if all(type(value) in (int, str, bool) for value in record.metadata.values()):
        # What was read can be written again.
        again = json.loads(json.dumps(layout.encode(record)))
        assert layout.decode("a", again).metadata == record.metadata
