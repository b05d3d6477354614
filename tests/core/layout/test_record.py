"""The record layout: everything comes back, and others can read what stands at top level."""

from __future__ import annotations

import copy
import enum
import json
import math
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.nightly import examples
from vectorize_core import layout
from vectorize_core.api import validation
from vectorize_core.errors import InvalidInputError, InvalidVectorError, VectorizeError
from vectorize_core.layout import Record


class Color(str, enum.Enum):  # noqa: UP042 - the older way, still common
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Shape(enum.Enum):
    POINT = (0, "point")
    LINE = "line"


ODD_KEYS = ("", "a.b", "$x", 'q"uote', "k" * 513, "text", "page", "_vs", "_vs_bucket", "_vsx", "é")
ZONES = st.sampled_from((UTC, timezone(timedelta(hours=-9, minutes=-30, seconds=-5))))
HASHABLE = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from((2**53, 2**53 + 1, -(2**63) - 1, 2**64, 10**400))
    | st.floats()
    | st.text(max_size=8)
    | st.datetimes()
    | st.datetimes(timezones=ZONES)
    | st.dates()
    | st.times(timezones=st.none() | ZONES)
    | st.timedeltas()
    | st.uuids()
    | st.decimals(allow_nan=False, places=3)
    | st.sampled_from((Decimal("Infinity"), Decimal("-0"), Decimal("1E+30")))
    | st.binary(max_size=8)
    | st.sampled_from((*Color, *Level, *Shape))
)
NUMPY = st.sampled_from(
    (np.float32(0.1), np.float64(1.5), np.int64(7), np.uint64(2**64 - 1), np.bool_(1), np.str_("s"))
)
# A string of any class is a plain string as a key.
PLAIN = HASHABLE.filter(lambda value: not isinstance(value, Color))
KEYS = st.sampled_from(ODD_KEYS) | st.text(max_size=8) | PLAIN
VALUES = st.recursive(
    HASHABLE | NUMPY,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.sets(HASHABLE, max_size=3)
        | st.frozensets(HASHABLE, max_size=3)
        | st.dictionaries(KEYS | st.just("$"), inner, max_size=3)
    ),
    max_leaves=6,
)
RECORDS = st.builds(
    Record,
    st.sampled_from(("a", "é" * 32)),
    st.none() | st.text(max_size=20),
    st.dictionaries(KEYS, VALUES, max_size=4),
    st.none() | st.dictionaries(st.text(max_size=4), VALUES, max_size=2),
)


def exact(value: Any) -> Any:
    """``value`` in a form in which NaN equals NaN and 1, 1.0 and True differ."""
    if isinstance(value, np.generic):
        value = value.item()
    kind = type(value).__name__
    if isinstance(value, dict):
        return kind, sorted(((exact(k), exact(v)) for k, v in value.items()), key=repr)
    if isinstance(value, (list, tuple)):
        return kind, [exact(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return kind, sorted(map(exact, value), key=repr)
    if isinstance(value, (datetime, time)):
        return kind, value.isoformat()
    return kind, repr(value)


def sent(record: Record, **options: Any) -> dict[str, Any]:
    """The metadata of a record as it comes back from the service."""
    read = json.loads(json.dumps(layout.encode(record, **options)))
    assert isinstance(read, dict)
    return read


@examples(80)
@given(
    record=RECORDS,
    text_key=st.sampled_from(("text", "page")),
    indexed=st.sampled_from(((), tuple(layout.METADATA_INDEXES))),
    read_as=st.sampled_from(("text", "page")),
)
def test_any_record_comes_back_exactly_and_the_service_takes_it(
    record: Record, text_key: str, indexed: tuple[str, ...], read_as: str
) -> None:
    before = exact(record.metadata)
    encoded = layout.encode(record, text_key=text_key, indexed=indexed)
    validation.check_metadata(record.id, encoded)
    back = layout.decode(record.id, json.loads(json.dumps(encoded)), text_key=read_as)
    assert (back.id, back.text) == (record.id, record.text)
    assert exact(back.metadata) == before
    assert exact(back.node) == exact(record.node)
    assert exact(record.metadata) == before


def test_json_values_and_the_text_stand_at_top_level() -> None:
    metadata = {
        "author": "ada",
        "year": 1843,
        "score": 0.5,
        "ok": True,
        "tags": ["a"],
        "n": {"x": 1},
    }
    encoded = sent(Record("a", "hello", metadata))
    assert encoded.pop("_vs") == '{"v":1}'
    assert encoded == {**metadata, "text": "hello"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (datetime(2024, 5, 1, 12, 30, tzinfo=UTC), "2024-05-01T12:30:00+00:00"),
        (date(2024, 5, 1), "2024-05-01"),
        (time(12, 30), "12:30:00"),
        (timedelta(seconds=1), 1_000_000),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (Decimal("1.50"), "1.50"),
        (b"\xff", "/w=="),
        (("a", "b"), ["a", "b"]),
        ({"a"}, ["a"]),
        (Color.RED, "red"),
        (Level.HIGH, 3),
        (2**60 + 1, float(2**60)),
        (np.float64(0.5), 0.5),
    ],
)
def test_other_types_show_what_a_filter_can_use(value: Any, shown: Any) -> None:
    encoded = sent(Record("a", "t", {"key": value}))
    assert encoded["key"] == shown
    assert exact(layout.decode("a", encoded).metadata) == exact({"key": value})


@pytest.mark.parametrize(
    "value", [None, math.nan, math.inf, 10**400, [None], ("a", (1,)), {"a.b": 1}, {1: 2}]
)
def test_what_nobody_could_filter_on_is_kept_inside_vs_only(value: Any) -> None:
    assert sent(Record("a", "t", {"key": value})).keys() == {"text", "_vs"}


@pytest.mark.parametrize("key", [*ODD_KEYS[:-1], 5, None, ("a", 1)])
def test_a_key_that_cannot_stand_at_top_level_comes_back(key: Any) -> None:
    record = Record("a", None, {key: "x"})
    encoded = sent(record)
    if key != "page":
        assert encoded.keys() == {"_vs"}
    assert layout.decode("a", encoded) == record


def test_a_key_of_another_class_of_texts_is_stored_as_a_plain_one() -> None:
    for key in ("page", np.str_("page")):
        stored = layout.encode(Record("a", "text", {key: 1}))
        assert stored["page"] == 1
        assert set(map(type, stored)) == {str}


def test_a_users_own_key_named_as_the_text_key_is_not_the_text() -> None:
    for text in ("body", None):
        record = Record("a", text, {"page": "own page", "text": "own text"})
        for text_key in ("text", "page"):
            assert layout.decode("a", sent(record, text_key=text_key)) == record


def test_a_record_written_under_another_text_key_is_read() -> None:
    encoded = sent(Record("a", "body", {"year": 1}), text_key="page")
    assert encoded["page"] == "body"
    assert layout.decode("a", encoded, text_key="content") == Record("a", "body", {"year": 1})


@pytest.mark.parametrize(
    ("stored", "text_key", "text", "metadata"),
    [
        # LangChain.js and Mastra: the text beside the user's own keys.
        ({"text": "hi", "source": "x.md", "loc": {"from": 1}}, "text", "hi", ...),
        ({"page_content": "hi", "text": "other"}, "page_content", "hi", {"text": "other"}),
        ({"title": "no text"}, "text", None, {"title": "no text"}),
        ({"text": 5, "a": 1}, "text", None, {"text": 5, "a": 1}),
        ({"_vs": "not ours", "a": 1}, "text", None, {"_vs": "not ours", "a": 1}),
        ({"_vs": 7}, "text", None, {"_vs": 7}),
        ({"_vs": '{"v":"x"}'}, "text", None, {"_vs": '{"v":"x"}'}),
        (None, "text", None, {}),
    ],
)
def test_a_foreign_vector_is_read_as_it_is(
    stored: Any, text_key: str, text: str | None, metadata: Any
) -> None:
    if metadata is ...:
        metadata = {key: value for key, value in stored.items() if key != text_key}
    before = copy.deepcopy(stored)
    assert layout.decode("a", stored, text_key=text_key) == Record("a", text, metadata)
    assert stored == before


def test_a_newer_layout_is_refused_naming_the_vector_and_the_fix() -> None:
    with pytest.raises(VectorizeError, match=r"'a' was written in layout 2.*Upgrade"):
        layout.decode("a", {"_vs": '{"v":2}', "text": "t"})


@pytest.mark.parametrize(
    ("vector_id", "bucket"),
    [("a", 209916), ("0", 958225), ("doc-1", 355754), ("ünïcödé", 11467), ("x" * 64, 32579)],
)
def test_a_bucket_is_frozen(vector_id: str, bucket: int) -> None:
    assert layout.bucket(vector_id) == bucket


def test_buckets_are_uniform() -> None:
    buckets = [layout.bucket(f"doc-{i}") for i in range(8_000)]
    assert layout.BUCKETS == 1 << 20
    sixteenths = Counter(bucket >> 16 for bucket in buckets)
    assert sixteenths.keys() == set(range(16))
    assert 420 < min(sixteenths.values()) < max(sixteenths.values()) < 580


def test_a_ref_fits_into_sixty_bytes_and_stays_distinct() -> None:
    refs = ["a", "é" * 30, "x" * 60, "x" * 61, "x" * 62, "é" * 31, "blake2b:a", "\ud800" * 30]
    refs.append(layout.ref_value("x" * 61))
    values = [layout.ref_value(ref) for ref in refs]
    assert values[:3] == refs[:3]
    assert len(set(values)) == len(refs)
    assert all(len(value.encode()) <= 60 for value in values)


@examples(60)
@given(st.text(), st.text())
def test_refs_are_equal_only_if_their_values_are(one: str, other: str) -> None:
    assert (layout.ref_value(one) == layout.ref_value(other)) == (one == other)


@pytest.mark.parametrize(
    ("indexed", "extra"),
    [
        ((), {}),
        (("_vs_bucket",), {"_vs_bucket": 209916}),
        (("_vs_own", "year"), {"_vs_own": True}),
        (("_vs_ref",), {"_vs_ref": "doc"}),
        (layout.METADATA_INDEXES, {"_vs_bucket": 209916, "_vs_own": True, "_vs_ref": "doc"}),
    ],
)
def test_flat_scalars_are_written_only_where_they_are_indexed(
    indexed: Any, extra: dict[str, Any]
) -> None:
    encoded = sent(Record("a", "t", {"year": 1}, ref="doc"), indexed=indexed)
    assert encoded == {"year": 1, "text": "t", "_vs": '{"v":1}', **extra}
    assert layout.decode("a", encoded) == Record("a", "t", {"year": 1})


def test_a_record_without_a_source_has_no_ref() -> None:
    assert "_vs_ref" not in layout.encode(Record("a", "t"), indexed=layout.METADATA_INDEXES)


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


def _deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (object(), "builtins.object"),
        (lambda: 0, "function"),
        (1j, "complex"),
        ([{"a": object()}], "builtins.object"),
        ({"a": ["\ud800"]}, "surrogate"),
        ({"\ud800": 1}, "surrogate"),
        ("\ud800", "surrogate"),
        (("\ud800",), "surrogate"),
        ({object(): 1}, "builtins.object"),
        (CYCLE, "nested"),
        (_deep(300), "nested"),
        ((_deep(300),), "nested"),
    ],
)
def test_what_cannot_be_stored_names_record_and_reason(value: Any, named: str) -> None:
    with pytest.raises(InvalidVectorError, match=f"'rec-1'.*{named}"):
        layout.encode(Record("rec-1", "t", {"key": value}))


def test_a_node_that_cannot_be_stored_is_refused_naming_the_record() -> None:
    with pytest.raises(InvalidVectorError, match="'rec-1'"):
        layout.encode(Record("rec-1", "t", node={"a": object()}))


@pytest.mark.parametrize("key", ["", "$text", "a.b", 'a"b', "k" * 513, "_vs", "_vs_text", 5, None])
def test_a_text_key_that_cannot_hold_the_text_is_refused(key: Any) -> None:
    with pytest.raises(InvalidInputError, match="text_key="):
        layout.check_text_key(key)


@pytest.mark.parametrize("key", ["text", "page_content", "k" * 512])
def test_other_text_keys_are_taken(key: str) -> None:
    assert layout.check_text_key(key) == key


# Tenants


def test_a_tenants_record_holds_its_own_id_beside_the_stored_one() -> None:
    record = layout.of_tenant(Record("mine", "hello", {"year": 1}), "acme")
    assert record.id == layout.stored_id("acme", "mine") != "mine"
    encoded = sent(record, indexed=layout.METADATA_INDEXES)
    assert json.loads(encoded["_vs"]) == {"v": 1, "id": "mine"}
    assert encoded["_vs_bucket"] == layout.bucket(record.id)
    back = layout.decode(record.id, encoded)
    assert (back.id, back.name, back.public_id) == (record.id, "mine", "mine")
    assert (back.text, back.metadata) == ("hello", {"year": 1})


@pytest.mark.parametrize("extra", ['{"v":1}', '{"v":1,"id":7}', '{"v":1,"id":null}'])
def test_a_record_without_an_id_of_its_own_goes_by_the_stored_one(extra: str) -> None:
    back = layout.decode("a", {"_vs": extra, "text": "t"})
    assert (back.id, back.name, back.public_id) == ("a", "a", None)


@examples(60)
@given(st.text(min_size=1, max_size=8), st.text(), st.text(min_size=1, max_size=8), st.text())
def test_tenants_never_share_a_stored_id(one: str, mine: str, other: str, theirs: str) -> None:
    same = (one, mine) == (other, theirs)
    assert (layout.stored_id(one, mine) == layout.stored_id(other, theirs)) is same
    assert len(layout.stored_id(one, mine)) == 48


def test_a_tenants_id_is_hashed_the_same_way_for_ever() -> None:
    assert layout.stored_id("a", "1") == "fd698f562948d0865b66b9d8d7ff1cb32857ff53f198528c"
    assert layout.stored_id("a", "é" * 32) == "37ae904df18ab72a747a11f7ba03aff415d217444b1fefc1"
    # No way of dividing the same letters gives the same digest.
    assert layout.stored_id("ab", "c") != layout.stored_id("a", "bc")
    assert layout.stored_id("n" * 64, "1") != layout.stored_id("n" * 63, "1")
