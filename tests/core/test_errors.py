"""The tree that the docstring of `errors` draws is the tree of its classes."""

from __future__ import annotations

import inspect

import vectorize_core
from vectorize_core import errors


def drawn(kind: type, depth: int = 0) -> list[str]:
    """``kind`` and those below it, as the docstring draws them."""
    name = kind.__name__
    others = [base.__name__ for base in kind.__bases__ if base.__name__ not in vars(errors)]
    if others not in ([], ["Exception"]):
        name += f" ({', '.join(others)})"
    below = [line for each in kind.__subclasses__() if own(each) for line in drawn(each, depth + 1)]
    return ["    " * depth + name, *below]


def own(kind: type) -> bool:
    return vars(errors).get(kind.__name__) is kind


def test_the_drawing_is_the_tree_of_the_classes() -> None:
    assert inspect.cleandoc(errors.__doc__).splitlines()[2:] == [
        *drawn(errors.VectorizeError),
        *drawn(errors.PendingWritesWarning),
    ]


def test_every_error_is_exported() -> None:
    kinds = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, Exception) and own(value)
    }
    assert kinds <= set(vectorize_core.__all__)
