"""The tree that the docstring of `errors` draws is the tree of its classes."""

from __future__ import annotations

import inspect

import pytest

import vectorize_core
from vectorize_core import errors
from vectorize_core.errors import (
    ApiMessage,
    InvalidInputError,
    PartialWriteError,
    VectorizeError,
    error_from_answer,
)


def drawn(kind: type, depth: int = 0) -> list[str]:
    """``kind`` and those below it, as the docstring draws them: each below its first base."""
    name = kind.__name__
    bases = kind.__bases__ if not own(kind.__bases__[0]) else kind.__bases__[1:]
    others = [base.__name__ for base in bases if base is not Exception]
    if others:
        name += f" ({', '.join(others)})"
    below = [each for each in kind.__subclasses__() if own(each) and each.__bases__[0] is kind]
    return ["    " * depth + name, *(line for each in below for line in drawn(each, depth + 1))]


def own(kind: type) -> bool:
    return vars(errors).get(kind.__name__) is kind


def test_the_drawing_is_the_tree_of_the_classes() -> None:
    assert inspect.cleandoc(errors.__doc__).splitlines()[2:] == [
        *drawn(errors.VectorizeError),
        *(line for kind in UserWarning.__subclasses__() if own(kind) for line in drawn(kind)),
    ]


def test_every_error_is_exported() -> None:
    kinds = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, Exception) and own(value)
    }
    assert kinds <= set(vectorize_core.__all__)


class SilentError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (TimeoutError(), "First cause: TimeoutError. Their"),
        (TimeoutError(""), "First cause: TimeoutError. Their"),
        (ValueError("  "), "First cause: ValueError. Their"),
        (KeyError("a"), "First cause: KeyError: 'a'. Their"),
        (ValueError("no such model."), "First cause: ValueError: no such model. Their"),
        (SilentError(), "First cause: SilentError. Their"),
        (VectorizeError("It is full"), "First cause: It is full. Their"),
        (InvalidInputError(), "First cause: InvalidInputError. Their"),
    ],
    ids=repr,
)
def test_a_cause_is_named_even_if_it_says_nothing(cause: Exception, said: str) -> None:
    assert said in str(PartialWriteError([0], [], [1], [cause], []))


@pytest.mark.parametrize("code", [10000, None])
@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_the_token_is_to_be_checked_where_it_was_refused(status: int, code: int | None) -> None:
    error = error_from_answer("Query(docs)", status, [ApiMessage(code, "no")])
    assert ("Check the API token" in str(error)) == (status in (401, 403))
