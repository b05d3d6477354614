"""How values go into a binding and come out of it: as JSON where that is an object of JavaScript.

A list of floats crosses one by one otherwise, and not all of JavaScript's values come out as ours.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from vectorize_core import jsontext
from vectorize_core.errors import UnexpectedAnswerError


class Values(Protocol):
    """The values of one kind of binding."""

    def given(self, json: bytes, /) -> Any:
        """What the binding takes, out of JSON."""

    def array(self, items: Sequence[Any], /) -> Any:
        """Objects of the binding's own as a list that it takes."""

    def found(self, answer: Any, /) -> Any:
        """What the binding has answered, in lists, dicts, texts and numbers."""


class PlainValues:
    """Those of a binding that is an object of Python."""

    def given(self, json: bytes, /) -> Any:
        """Lists and dicts."""
        return jsontext.loads(json)

    def array(self, items: Sequence[Any], /) -> Any:
        """A list."""
        return list(items)

    def found(self, answer: Any, /) -> Any:
        """The answer itself."""
        return answer


class JavaScriptValues:
    """Those of a binding that is an object of JavaScript, in Pyodide."""

    def __init__(self) -> None:
        self._js: Any = importlib.import_module("js")

    def given(self, json: bytes, /) -> Any:
        """An object of JavaScript."""
        return self._js.JSON.parse(json.decode())

    def array(self, items: Sequence[Any], /) -> Any:
        """An array of JavaScript."""
        return self._js.Array.of(*items)

    def found(self, answer: Any, /) -> Any:
        """The answer in values of Python; of an undefined one None."""
        text = self._js.JSON.stringify(answer)
        if not isinstance(text, str):
            return None
        try:
            return jsontext.loads(text)
        except ValueError as error:
            # JavaScript writes halves of a surrogate pair too.
            raise UnexpectedAnswerError(f"it is no JSON: {error}") from None


def values_of(binding: Any) -> Values:
    """The kind of values that a binding takes."""
    if sys.platform == "emscripten" and is_javascript(binding):
        return JavaScriptValues()
    return PlainValues()


def is_javascript(binding: Any) -> bool:
    """Whether it is a proxy of Pyodide's for an object of JavaScript."""
    return isinstance(binding, importlib.import_module("pyodide.ffi").JsProxy)


def missing_methods(binding: Any, names: Iterable[str]) -> list[str]:
    """Those of the methods that a binding has not."""
    return [name for name in names if not callable(getattr(binding, name, None))]
