"""Values whose class the layout does not know: stored as their nearest plain type, or refused."""

from __future__ import annotations

import enum
import json
from collections import Counter, OrderedDict, UserDict, defaultdict, deque, namedtuple
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from types import MappingProxyType
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from vectorize_core import F, InvalidVectorError, layout
from vectorize_core.filters.evaluate import evaluate
from vectorize_core.layout import Record


class Key(enum.StrEnum):
    YEAR = "year"


class Text(str):
    """As Markup and NavigableString are: says of itself what it likes."""

    __slots__ = ()

    def __str__(self) -> str:
        return "something else"


class Timestamp(datetime):
    """As that of pandas is."""

    nanosecond = 0

    def isoformat(self, *_: Any) -> str:
        return "with nanoseconds"


class NaT(datetime):
    """As that of pandas is: a datetime without a year."""

    @property
    def year(self) -> Any:
        return float("nan")

    def __str__(self) -> str:
        return "NaT"


Pair = namedtuple("Pair", "a b")  # noqa: PYI024 - as users write it
WHEN = datetime(2024, 5, 1, 1, 2, 3, 4, tzinfo=UTC)
TAKEN: dict[str, tuple[Any, Any]] = {
    "a class of str": (Text("a"), "a"),
    "numpy.str_": (np.str_("a"), "a"),
    "numpy.longdouble": (np.longdouble(1.5), 1.5),
    "an array of longdouble": (np.array([1.5], np.longdouble), [1.5]),
    "a class of float": (type("Real", (float,), {"__float__": lambda _: 7.0})(0.5), 0.5),
    "a class of int": (type("Whole", (int,), {"__int__": lambda _: 7})(5), 5),
    "a class of datetime": (Timestamp(2024, 5, 1, 1, 2, 3, 4, tzinfo=UTC), WHEN),
    "a class of date": (type("Day", (date,), {})(2024, 5, 1), date(2024, 5, 1)),
    "a class of time": (type("Hour", (time,), {})(1, 2), time(1, 2)),
    "a class of timedelta": (type("Span", (timedelta,), {})(1, 2), timedelta(1, 2)),
    "a class of UUID": (type("Id", (UUID,), {})(int=5), UUID(int=5)),
    "a class of Decimal": (type("Money", (Decimal,), {})("1.50"), Decimal("1.50")),
    "a class of bytes": (type("Raw", (bytes,), {})(b"x"), b"x"),
    "bytearray": (bytearray(b"x"), b"x"),
    "memoryview": (memoryview(b"x"), b"x"),
    "a path": (PurePosixPath("/a/b"), "/a/b"),
    "a path of Windows": (PureWindowsPath("c:\\a"), "c:\\a"),
    "numpy.array": (np.array([1.5, 2]), [1.5, 2.0]),
    "an array of two dimensions": (np.array([[1], [2]], np.int8), [[1], [2]]),
    "an array of none": (np.array(5), 5),
    "an array of strings": (np.array(["a", "b"]), ["a", "b"]),
    "an array of objects": (np.array([{"a": np.float32(1)}, None]), [{"a": 1.0}, None]),
    "an array of datetimes": (
        np.array(["2024-05-01"], "datetime64[ns]"),
        [datetime(2024, 5, 1)],  # noqa: DTZ001
    ),
    "whole microseconds": (
        np.datetime64("2024-05-01T01:02:03", "ns"),
        datetime(2024, 5, 1, 1, 2, 3),  # noqa: DTZ001
    ),
    "numpy.timedelta64": (np.timedelta64(1_000, "ns"), timedelta(microseconds=1)),
    "OrderedDict": (OrderedDict(a=np.int64(1)), {"a": 1}),
    "defaultdict": (defaultdict(list, a=["x"]), {"a": ["x"]}),
    "Counter": (Counter("a"), {"a": 1}),
    "UserDict": (UserDict(a=1), {"a": 1}),
    "MappingProxyType": (MappingProxyType({"a": (1,)}), {"a": (1,)}),
    "namedtuple": (Pair(1, np.float64(2)), (1, 2.0)),
    "a class of list": (type("Items", (list,), {})([1]), [1]),
    "deque": (deque([1, 2]), [1, 2]),
    "range": (range(3), [0, 1, 2]),
    "a class of set": (type("Bag", (set,), {})([1]), {1}),
    "a class of frozenset": (type("Bag", (frozenset,), {})([1]), frozenset({1})),
    "what a set holds": ({np.str_("a"), np.int64(1)}, {"a", 1}),
    "keys inside": ({np.str_("k"): {Key.YEAR: 1}}, {"k": {"year": 1}}),
}
REFUSED: dict[str, tuple[Any, str]] = {
    "pandas.NaT": (NaT(2024, 5, 1), "NaT.*missing value, for which None stands"),
    "numpy's NaT": (np.datetime64("NaT", "s"), "NaT.*missing value"),
    "nanoseconds": (
        type("Fine", (Timestamp,), {"nanosecond": 1})(2024, 5, 1),
        "has nanoseconds.*Round it",
    ),
    "nanoseconds of NumPy": (np.datetime64(1, "ns"), "numpy.datetime64"),
    "a finer timedelta": (type("Fine", (timedelta,), {"nanoseconds": 1})(1), "has nanoseconds"),
    "a span of years": (np.timedelta64(5, "Y"), "numpy.timedelta64"),
    "a long range": (range(10**9), "builtins.range"),
    "a range in a set": ({range(3)}, "builtins.range"),
    "a generator": ((i for i in ()), "builtins.generator"),
    "a view": ({}.keys(), "builtins.dict_keys"),
    "complex": (1j, "builtins.complex"),
    "an object": (object(), "builtins.object"),
    "a class": (Key, "enum.EnumType"),
    "thousands of digits": (10**5_000, "an integer of thousands of digits"),
}


def read(metadata: dict[Any, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is stored of metadata, and how it is read."""
    stored = json.loads(json.dumps(layout.encode(Record("a", "t", metadata))))
    return stored, layout.decode("a", stored).metadata


def kinds(value: Any) -> Any:
    """The types at every depth."""
    if isinstance(value, dict):
        return dict, {key: (type(key), kinds(item)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value), [*map(kinds, value)]
    return type(value)


@pytest.mark.parametrize(("value", "plain"), TAKEN.values(), ids=TAKEN)
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: {"in": [v]}], ids=["bare", "nested"])
def test_it_comes_back_as_its_nearest_plain_type(
    value: Any, plain: Any, wrap: Callable[[Any], Any]
) -> None:
    _, found = read({"key": wrap(value)})
    assert found == {"key": wrap(plain)}
    assert kinds(found["key"]) == kinds(wrap(plain))


@pytest.mark.parametrize("name", ["numpy.array", "OrderedDict", "namedtuple", "a path", "range"])
def test_it_stands_at_top_level_as_that_type_does(name: str) -> None:
    value, plain = TAKEN[name]
    stored, _ = read({"key": value})
    shown, _ = read({"key": plain})
    assert stored == shown
    assert "key" in stored


@pytest.mark.parametrize(("value", "said"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: {"in": [v]}], ids=["bare", "nested"])
def test_what_would_lose_more_is_refused_by_record_and_key(
    value: Any, said: str, wrap: Callable[[Any], Any]
) -> None:
    with pytest.raises(InvalidVectorError, match=rf"record 'a': metadata\['key'\] has .*{said}"):
        layout.encode(Record("a", "t", {"good": 1, "key": wrap(value)}))


@pytest.mark.parametrize("key", [Key.YEAR, np.str_("year"), Text("year")])
def test_a_key_of_a_class_of_str_stands_at_top_level(key: Any) -> None:
    stored, found = read({key: 1999})
    assert stored == {"year": 1999, "text": "t", "_vs": '{"v":1}'}
    assert kinds(found) == kinds({"year": 1999})


@pytest.mark.parametrize(("value", "plain"), TAKEN.values(), ids=TAKEN)
def test_a_filter_takes_it_for_the_same(value: Any, plain: Any) -> None:
    if isinstance(plain, (str, int, float, date, time, timedelta, UUID)):
        assert evaluate(F("key") == value, {"key": plain})
        assert evaluate(F("key") == plain, {"key": value})
        assert (F("key") == value) == (F("key") == plain)
    assert evaluate(F("key") != "?", {"key": value})


def test_the_name_of_a_property_may_be_of_a_class_of_str() -> None:
    assert (F(Key.YEAR) == 1) == (F("year") == 1)
    assert type((F(np.str_("year")) == 1).path) is str  # type: ignore[union-attr]


def test_what_pandas_has() -> None:
    pd = pytest.importorskip("pandas")
    when = pd.Timestamp("2024-05-01 01:02:03.000004", tz="UTC")
    _, found = read({"a": when, "b": pd.Timedelta("1s")})
    assert found == {"a": WHEN, "b": timedelta(seconds=1)}
    for missing in (pd.NaT, pd.NA):
        with pytest.raises(InvalidVectorError, match="missing value"):
            read({"a": missing})
    with pytest.raises(InvalidVectorError, match="nanoseconds"):
        read({"a": pd.Timestamp(1)})


def test_a_path_of_this_system_is_its_text() -> None:
    assert read({"a": PurePath("a") / "b"})[1] == {"a": str(PurePath("a") / "b")}
