"""Arguments of any type: those that are plainly fine are taken, others are named with the rule."""

from __future__ import annotations

import math
from array import array
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from vectorize_core.api import validation
from vectorize_core.errors import InvalidInputError, InvalidVectorError, shown
from vectorize_core.models import Vector, as_values

NO_VALUES: dict[str, tuple[Any, str]] = {
    "nothing": (None, "got None"),
    "a text": ("abc", r"got 'abc' \(str\)"),
    "bytes": (b"ab", r"got b'ab' \(bytes\)"),
    "a number": (5, r"got 5 \(int\)"),
    "a dict": ({"a": 1.0}, r"got \{'a': 1.0\} \(dict\)"),
    "a set": ({1.0}, r"got \{1.0\} \(set\)"),
    "a generator": ((n for n in [1.0]), "got <generator"),
    "one in another": ([[1.0, 2.0]], r"shape \(1, 2\)"),
    "of two lengths": ([[1.0], [2.0, 3.0]], "inhomogeneous"),
    "a text in it": ([1.0, "2"], r"with '2' \(str\) at position 1"),
    "a None in it": ([1.0, 2.0, None], "with None at position 2"),
    "None in a tuple": ((1.0, None), r"got \(1.0, None\)"),
    "an array of texts": (np.array(["1"]), r"\(ndarray\)"),
    "a complex number": ([1j], "got"),
    "a huge integer": ([10**400], "too large"),
}


@pytest.mark.parametrize(("values", "said"), NO_VALUES.values(), ids=NO_VALUES)
def test_values_are_a_list_of_numbers(values: Any, said: str) -> None:
    with pytest.raises(InvalidVectorError, match=f"^embedding is a list of numbers; .*{said}"):
        as_values(values, "embedding")
    with pytest.raises(InvalidVectorError, match=r"^vector 'a' is a list of numbers; "):
        Vector("a", values)


@pytest.mark.parametrize(
    "values", [(1, 2.5), [Decimal(1), 2.5], np.array([1, 2.5], object), array("d", [1, 2.5])]
)
def test_values_may_be_in_any_sequence(values: Any) -> None:
    assert as_values(values).tolist() == [1.0, 2.5]


class Integer:
    """An integer of another library."""

    def __index__(self) -> int:
        return 4


@pytest.mark.parametrize(
    "value",
    [4, 4.0, np.int64(4), np.uint8(4), np.float32(4), np.float64(4), np.array(4), Integer()],
)
def test_a_whole_number_may_be_of_any_kind(value: Any) -> None:
    found = validation.whole_number("k", value, least=4, most=4)
    assert (found, type(found)) == (4, int)


NOT_WHOLE: dict[str, tuple[Any, str]] = {
    "None": (None, "k is a whole number; got None"),
    "True": (True, "k is a whole number; got True"),
    "NumPy's": (np.True_, "k is a whole number; got .*True"),
    "text": ("4", r"k is a whole number; got '4' \(str\)"),
    "a half": (4.5, r"k is a whole number; got 4.5 \(float\)"),
    "NaN": (math.nan, "k is a whole number; got nan"),
    "infinite": (math.inf, "k is a whole number; got inf"),
    "a list": ([4], r"k is a whole number; got \[4\]"),
    "an array": (np.array([4]), r"k is a whole number; got array\(\[4\]\)"),
    "a dict": ({}, "k is a whole number; got {}"),
    "negative": (-1, "k is not negative; got -1"),
    "large": (10**30, "k is at most 9223372036854775807; got 10+"),
    "larger than text": (10**5_000, "k is at most 9223372036854775807; got .*int"),
}


@pytest.mark.parametrize(("value", "said"), NOT_WHOLE.values(), ids=NOT_WHOLE)
def test_no_other_value_is_a_whole_number(value: Any, said: str) -> None:
    with pytest.raises(InvalidInputError, match=f"^{said}"):
        validation.whole_number("k", value)


@pytest.mark.parametrize("value", [0, 1, 0.5, np.float32(0.5), np.float64(1), np.int64(0)])
def test_a_number_may_be_of_any_kind(value: Any) -> None:
    found = validation.number("weight", value, least=0, most=1)
    assert (found, type(found)) == (value, float)


@pytest.mark.parametrize(
    "value",
    [None, True, np.True_, "0.5", math.nan, math.inf, -0.1, 1.1, 10**400, [0.5], 1j],
)
def test_no_other_value_is_a_number(value: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"^weight is a number from 0 to 1; got "):
        validation.number("weight", value, least=0, most=1)


def test_a_number_without_a_limit() -> None:
    assert validation.number("t", math.inf, least=0, most=math.inf) == math.inf
    with pytest.raises(InvalidInputError, match=r"^t is a number that is not negative; got -1"):
        validation.number("t", -1, least=0, most=math.inf)
    with pytest.raises(InvalidInputError, match=r"^t is a number; got nan"):
        validation.number("t", math.nan, least=-math.inf, most=math.inf)
    with pytest.raises(InvalidInputError, match=r"^t is a number; got 1000"):
        validation.number("t", 10**400, least=-math.inf, most=math.inf)


@pytest.mark.parametrize("value", [None, 0, 1, "false", "", [], np.array([True])])
def test_a_flag_is_true_or_false(value: Any) -> None:
    assert validation.flag("verify", True) is True
    assert validation.flag("verify", np.False_) is False
    with pytest.raises(InvalidInputError, match=r"^verify is True or False; got "):
        validation.flag("verify", value)


@pytest.mark.parametrize("value", [None, 5, "c", "", ["a"], np.array(["a", "b"])])
def test_one_of_some_words(value: Any) -> None:
    assert validation.one_of("mode", np.str_("b"), ("a", "b", "d")) == "b"
    with pytest.raises(InvalidInputError, match=r"^mode is 'a', 'b' or 'd'; got "):
        validation.one_of("mode", value, ("a", "b", "d"))


@pytest.mark.parametrize("value", [None, 5, b"a", ["a"], {}])
def test_a_text_is_a_string(value: Any) -> None:
    assert validation.text("query", np.str_("a")) == "a"
    with pytest.raises(InvalidInputError, match=r"^query is a string; got .*\. Or so"):
        validation.text("query", value, ". Or so")


async def none() -> Any:
    yield 1


@pytest.mark.parametrize(
    "value", [["a"], (), {"a"}, {"a": 1}.keys(), iter("a"), none(), np.array(["a"])]
)
def test_several_may_be_in_any_iterable(value: Any) -> None:
    assert validation.several("texts", value) is value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "texts; got None$"),
        (5, r"texts; got 5 \(int\)$"),
        ({"a": 1}, r"texts; got \{'a': 1\} \(dict\)$"),
        ("abc", r"texts; got one string: 'abc' \(str\)\. Put it into a list$"),
        (b"abc", r"texts; got b'abc' \(bytes\)\. Put it into a list$"),
        (Vector("a", [1.0]), r"texts; got Vector\(.*Put it into a list$"),
        (np.array("a"), r"texts; got array\('a'.*Put it into a list$"),
    ],
)
def test_several_are_not_one(value: Any, said: str) -> None:
    with pytest.raises(InvalidInputError, match=f"^texts is an iterable of {said}"):
        validation.several("texts", value, alone=(Vector,))


def test_an_error_shows_a_value_in_one_short_line() -> None:
    for value in (
        "x" * 5_000,
        ["x" * 100] * 100,
        np.zeros((50, 50)),
        {i: {i: [i]} for i in range(9)},
    ):
        said = shown(value)
        assert len(said) < 500
        assert "\n" not in said
