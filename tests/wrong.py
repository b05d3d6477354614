"""Values that are wrong for an argument, by what is wrong, and what the error says."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.stores import vector

Wrong = dict[str, tuple[Any, str]]
VECTOR = vector("a")


class Frame:
    """As pandas' and Polars' data frames: a table, and iterates over something else than rows."""

    columns = ("a", "b")

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)


def text(name: str) -> Wrong:
    """What is no text."""
    return {
        "None": (None, f"{name} is a string; got None"),
        "a number": (5, rf"{name} is a string; got 5 \(int\)"),
        "a dict": ({"query": "a"}, rf"{name} is a string; got .*\(dict\)"),
        "bytes": (b"a", rf"{name} is a string; got b'a' \(bytes\)"),
        "a list of texts": (["a", "b"], rf"{name} is a string; got .*\(list\)"),
        "an embedding": (VECTOR, rf"{name} is a string; got .*\(list\)"),
    }


def embedding(name: str) -> Wrong:
    """What is no embedding."""
    return {
        "None": (None, f"{name} is a list of numbers; got None"),
        "a number": (5, rf"{name} is a list of numbers; got 5 \(int\)"),
        "a dict": ({"a": 1.0}, rf"{name} is a list of numbers; got .*\(dict\)"),
        "a text": ("text", rf"{name} is a list of numbers; got 'text' \(str\)"),
        "texts": (["a"] * 32, rf"{name} is a list of numbers; got .*'a' \(str\) at position 0"),
        "several": ([VECTOR, VECTOR], rf"{name} is a list of numbers; got .*shape \(2, 32\)"),
        "ragged": ([[1.0], [1.0, 2.0]], f"{name} is a list of numbers; got .*inhomogeneous"),
        "None inside": ([*VECTOR[1:], None], f"{name} is a list .* with None at position 31"),
        "NaN": ([math.nan] * 32, f"{name} has a value that is NaN or infinite"),
        "too large": ([1e300] * 32, f"{name} has a value that is NaN or infinite"),
    }


def count(name: str, least: int = 0) -> Wrong:
    """What counts nothing."""
    rule = "is not negative" if least == 0 else f"is at least {least}"
    return {
        "None": (None, f"{name} is a whole number; got None"),
        "a text": ("4", rf"{name} is a whole number; got '4' \(str\)"),
        "a half": (4.5, rf"{name} is a whole number; got 4.5 \(float\)"),
        "NaN": (math.nan, f"{name} is a whole number; got nan"),
        "infinite": (math.inf, f"{name} is a whole number; got inf"),
        "a boolean": (True, f"{name} is a whole number; got True"),
        "a list": ([4], f"{name} is a whole number; got .4."),
        "negative": (least - 1, f"{name} {rule}; got {least - 1}"),
        "huge": (10**400, f"{name} is at most 9223372036854775807; got"),
    }


def number(name: str) -> Wrong:
    """What is no number from 0 to 1."""
    wrong = [
        "0.5",
        True,
        math.nan,
        math.inf,
        -0.1,
        np.float32(1.5),
        [0.5],
    ]
    return {repr(value): (value, f"{name} is a number from 0 to 1; got ") for value in wrong}


def flag(name: str) -> Wrong:
    wrong = [None, 1, "false", [True]]
    return {repr(value): (value, f"{name} is True or False; got ") for value in wrong}


def several(name: str, of: str) -> Wrong:
    """What is not a number of values."""
    return {
        "a number": (5, rf"{name} is an iterable of {of}; got 5 \(int\)"),
        "a dict": ({"x": 1}, rf"{name} is an iterable of {of}; got .*\(dict\)"),
        "a text": ("one string", f"{name} is an iterable of {of}; got one string: 'one string'"),
        "bytes": (b"ab", f"{name} is an iterable of {of}; got b'ab'"),
        "True": (True, f"{name} is an iterable of {of}; got True"),
        "a table": (Frame(), f"{name} is an iterable of {of}; got .*Frame.*one of its columns"),
        "an array of none": (np.array("a"), f"{name} is an iterable of {of}; got .*into a list"),
    }


def needed(name: str, of: str) -> Wrong:
    return {"None": (None, f"{name} is an iterable of {of}; got None"), **several(name, of)}


TIMEOUT = {
    "a text": ("5", r"wait_timeout is a number that is not negative; got '5' \(str\)"),
    "NaN": (math.nan, "wait_timeout is a number that is not negative; got nan"),
    "negative": (-1, "wait_timeout is a number that is not negative; got -1"),
    "True": (True, "wait_timeout is a number that is not negative; got True"),
}
WAIT = {
    "a text": ("soon", "wait is False, True, 'processed' or 'visible'; got 'soon'"),
    "a number": (5, "wait is False, True, 'processed' or 'visible'; got 5"),
    "an array": (np.ones(2), r"wait is False, True, 'processed' or 'visible'; got"),
    "a list": ([], r"wait is False, True, 'processed' or 'visible'; got \[\]"),
}
NAMESPACE = {
    "a boolean": (True, "a namespace is a non-empty string or None; got True"),
    "a float": (5.0, "a namespace is a non-empty string or None; got 5.0"),
    "empty": ("", "a namespace is a non-empty string or None; got ''"),
    "a list": (["a"], "a namespace is a non-empty string or None; got"),
}
FILTER = {
    "a text": ("year > 5", "a filter takes a mapping .* got str"),
    "a list": ([{"a": 1}], "a filter takes a mapping .* got list"),
    "a number": (5, "a filter takes a mapping .* got int"),
}
NATIVE = {
    "a text": ("year > 5", r"vectorize_filter is a dict .*; got 'year > 5' \(str\)"),
    "a list": ([{"a": 1}], r"vectorize_filter is a dict .*; got .*\(list\)"),
}
UNINDEXED = {"a text": ("scann", "unindexed is 'error' or 'scan'; got 'scann'")}
PRECISION = {
    "a text": ("highest", "precision is 'normal' or 'high'; got 'highest'"),
    "an array": (np.ones(2), "precision is 'normal' or 'high'; got"),
}
FIND = {
    "namespace": NAMESPACE,
    "vectorize_filter": NATIVE,
    "unindexed": UNINDEXED,
    "max_requests": {n: v for n, v in count("max_requests", 1).items() if n != "None"},
}
WAITS = {"wait": WAIT, "wait_timeout": TIMEOUT}
WRITE = {
    **WAITS,
    "dry_run": flag("dry_run"),
    "batch_size": {n: v for n, v in count("batch_size", 1).items() if n not in ("None", "huge")},
    "max_batch_bytes": {"a text": ("1", "max_batch_bytes is a whole number; got '1'")},
    "concurrency": count("concurrency", 1),
    "show_progress": flag("show_progress"),
    "on_batch": {"a text": ("print", "on_batch is a function of a BatchReport; got 'print'")},
    "resume": {
        "a number": (5, "resume is the path of a file, or a PartialWriteError; got 5"),
        "a list": ([], r"resume is the path of a file, or a PartialWriteError; got \[\]"),
    },
    "unparsable_behavior": {"a text": ("skip", "unparsable_behavior is 'error' or 'discard'; got")},
}
SOME_IDS = {
    "None": (None, "ids is a list of ids; got None"),
    "a text": ("abc", r"ids is a list of ids; got 'abc'. Use \['abc'\]"),
    "a number": (5, r"ids is a list of ids; got 5"),
    "a dict": ({"a": 1}, r"ids is a list of ids; got .*\(dict\)"),
    "bytes": (b"a", "ids is a list of ids; got b'a'"),
    "a table": (Frame(), "ids is a list of ids; got .*Frame.*one of its columns"),
    "an array of none": (np.array("a"), r"ids is a list of ids; got array\('a'"),
}
