"""Values of any type as JSON: the form each type has, and that nothing runs to read one back."""

from __future__ import annotations

import enum
import json
import math
import sys
from collections import OrderedDict
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from types import MappingProxyType, ModuleType
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from vectorize_core.layout import value_codec
from vectorize_core.layout.nearest import UnstorableError


class Color(str, enum.Enum):  # noqa: UP042 - the older way, still common
    RED = "red"


class Outer:
    class Inner(enum.Enum):
        ONE = 1


class Access(enum.Flag):
    READ = 1
    WRITE = 2


COLOR = f"{Color.__module__}:Color"
INNER = f"{Color.__module__}:Outer.Inner"


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (None, None),
        (True, True),
        (2**53, 2**53),
        (2**53 + 1, {"$": ["int", "9007199254740993"]}),
        (-math.inf, {"$": ["float", "-inf"]}),
        ([1, "a"], [1, "a"]),
        ({"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"$": 1}, {"$": ["dict", [["$", 1]]]}),
        ({1: 2}, {"$": ["dict", [[1, 2]]]}),
        ((1, (2,)), {"$": ["tuple", [1, {"$": ["tuple", [2]]}]]}),
        ({3}, {"$": ["set", [3]]}),
        (frozenset({3}), {"$": ["frozenset", [3]]}),
        (datetime(2024, 5, 1, tzinfo=UTC), {"$": ["datetime", "2024-05-01T00:00:00+00:00"]}),
        (datetime(2024, 5, 1), {"$": ["datetime", "2024-05-01T00:00:00"]}),  # noqa: DTZ001
        (date(2024, 5, 1), {"$": ["date", "2024-05-01"]}),
        (time(1, 2, 3, 4), {"$": ["time", "01:02:03.000004"]}),
        (timedelta(days=-1), {"$": ["timedelta", -86_400_000_000]}),
        (timedelta.max, {"$": ["timedelta", {"$": ["int", "86399999999999999999"]}]}),
        (UUID(int=1), {"$": ["uuid", "00000000-0000-0000-0000-000000000001"]}),
        (Decimal("1.10"), {"$": ["decimal", "1.10"]}),
        (b"\x00\xff", {"$": ["bytes", "AP8="]}),
        (Color.RED, {"$": ["enum", COLOR, "red"]}),
        (Outer.Inner.ONE, {"$": ["enum", INNER, 1]}),
    ],
)
def test_the_tagged_form_of_each_type_is_frozen(value: Any, form: Any) -> None:
    assert value_codec.tagged(value) == form
    back = value_codec.untagged(json.loads(json.dumps(form)))
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("a", ("a", None, None)),
        ([1, {"a": 0.5}], ([1, {"a": 0.5}], None, None)),
        (None, (value_codec.NOTHING, "none", None)),
        (date(2024, 5, 1), ("2024-05-01", "date", None)),
        ((1, 2), ([1, 2], "tuple", None)),
        ((1, None), (value_codec.NOTHING, None, {"$": ["tuple", [1, None]]})),
        (Color.RED, ("red", f"enum:{COLOR}", None)),
        (2**53 + 1, (float(2**53), None, {"$": ["int", "9007199254740993"]})),
        (10**400, (value_codec.NOTHING, None, {"$": ["int", "1" + 400 * "0"]})),
        (math.inf, (value_codec.NOTHING, None, {"$": ["float", "inf"]})),
    ],
)
def test_the_shown_form_of_each_type_is_frozen(value: Any, parts: tuple[Any, ...]) -> None:
    assert value_codec.split(value) == parts


def test_nan_comes_back() -> None:
    assert value_codec.tagged(math.nan) == {"$": ["float", "nan"]}
    assert math.isnan(value_codec.untagged({"$": ["float", "nan"]}))


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float32(0.5), 0.5),
        (np.int8(-3), -3),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.bool_(0), False),
        (np.str_("a"), "a"),
        (np.datetime64("2024-05-01"), date(2024, 5, 1)),
        (np.datetime64("2024-05-01T01:02:03"), datetime(2024, 5, 1, 1, 2, 3)),  # noqa: DTZ001
        (type("Text", (str,), {})("a"), "a"),
        (type("Real", (float,), {})(0.5), 0.5),
        (type("Whole", (int,), {})(5), 5),
        (OrderedDict(a=1), {"a": 1}),
        (MappingProxyType({"a": 1}), {"a": 1}),
    ],
)
def test_near_relatives_of_plain_types_come_back_plain(value: Any, plain: Any) -> None:
    back = value_codec.untagged(json.loads(json.dumps(value_codec.tagged(value))))
    assert back == plain
    assert type(back) is type(plain)


@pytest.mark.parametrize(
    "value",
    [
        np.datetime64("2024-05-01T00:00:00.000000001", "ns"),
        np.datetime64("NaT", "s"),
        np.timedelta64(5, "Y"),
        np.array(["2024-05-01T00:00:00.000000001"], "datetime64[ns]"),
        1j,
        object(),
    ],
)
def test_what_would_come_back_otherwise_is_refused(value: Any) -> None:
    for form in (value_codec.tagged, value_codec.split):
        with pytest.raises(UnstorableError, match=r"a value of type \S+ .*Convert it"):
            form(value)


def test_flags_come_back_combined() -> None:
    both = Access.READ | Access.WRITE
    assert value_codec.untagged(value_codec.tagged(both)) is both
    shown, hint, _ = value_codec.split(both)
    assert value_codec.restore(str(hint), shown) is both


def test_a_member_that_no_longer_exists_is_read_as_its_value() -> None:
    assert value_codec.restore(f"enum:{COLOR}", "green") == "green"
    assert value_codec.restore(f"enum:{Color.__module__}:Gone", "red") == "red"


def test_the_class_of_an_enum_is_never_imported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "colours_of_a_test.py").write_text(
        "import enum\nclass Color(enum.Enum):\n    RED = 'red'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert value_codec.restore("enum:colours_of_a_test:Color", "red") == "red"
    assert value_codec.untagged({"$": ["enum", "colours_of_a_test:Color", "red"]}) == "red"
    assert "colours_of_a_test" not in sys.modules


def test_a_lazy_module_is_not_made_to_import(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Lazy(ModuleType):
        def __getattr__(self, name: str) -> Any:
            asked.append(name)
            return Color

    monkeypatch.setitem(sys.modules, "lazy_of_a_test", Lazy("lazy_of_a_test"))
    assert value_codec.restore("enum:lazy_of_a_test:Color", "red") == "red"
    assert asked == []


@pytest.mark.parametrize("name", ["builtins:str", "os:system", "builtins:list.append", "json:", ""])
def test_a_name_that_is_no_enum_is_not_called(name: str) -> None:
    assert value_codec.restore(f"enum:{name}", "red") == "red"


def test_sets_are_shown_in_one_order_for_all_processes() -> None:
    names = [f"name {n}" for n in range(50)]
    for kind in (set, frozenset):
        shown, _, _ = value_codec.split(kind(names))
        assert shown == sorted(names)
        assert value_codec.tagged(kind(names))["$"][1] == sorted(names)
