"""How values go into a binding and come out of it, where that is an object of JavaScript.

They cross as the bytes of JSON, which JavaScript itself reads and writes. Pyodide's own conversion
takes more time, as it goes from value to value.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from vectorize_core import jsontext
from vectorize_core.errors import ConfigurationError, UnexpectedAnswerError, in_words


class Values(Protocol):
    """The values of one kind of binding."""

    async def given(self, json: bytes, /) -> Any:
        """What the binding takes, out of JSON."""

    def array(self, items: Sequence[Any], /) -> Any:
        """Objects of the binding's own as a list that it takes."""

    async def found(self, answer: Any, /) -> Any:
        """What the binding has answered, in lists, dicts, texts and numbers."""


class PlainValues:
    """Those of a binding that is an object of Python."""

    async def given(self, json: bytes, /) -> Any:
        """Lists and dicts."""
        return jsontext.loads(json)

    def array(self, items: Sequence[Any], /) -> Any:
        """A list."""
        return list(items)

    async def found(self, answer: Any, /) -> Any:
        """The answer itself."""
        return answer


class JavaScriptValues:
    """Those of a binding that is an object of JavaScript, in Pyodide."""

    def __init__(self) -> None:
        self._js: Any = importlib.import_module("js")
        self._to_js = importlib.import_module("pyodide.ffi").to_js

    async def given(self, json: bytes, /) -> Any:
        """An object of JavaScript."""
        return await self._js.Response.new(self._to_js(json)).json()

    def array(self, items: Sequence[Any], /) -> Any:
        """An array of JavaScript."""
        return self._js.Array.of(*items)

    async def found(self, answer: Any, /) -> Any:
        """The answer in values of Python; of an undefined one None."""
        if answer is None:
            return None
        try:
            written = await self._js.Response.json(answer).arrayBuffer()
            return jsontext.loads(written.to_bytes())
        except Exception as error:
            # Not all of JavaScript's values are JSON; nor is half a surrogate pair for Python.
            raise UnexpectedAnswerError(f"it is no JSON: {in_words(error)}") from None


def values_of(binding: Any) -> Values:
    """The kind of values that a binding takes."""
    if sys.platform == "emscripten":
        ffi = importlib.import_module("pyodide.ffi")
        if isinstance(binding, ffi.JsProxy):
            return JavaScriptValues()
    return PlainValues()


def check_methods(binding: Any, names: Iterable[str], kind: str) -> None:
    """`ConfigurationError` unless a binding, of a ``kind`` in words, has all these methods."""
    if binding is None:
        raise ConfigurationError(
            f"binding is that of {kind}; got None: the Worker has no binding of the name by which "
            "it was looked up, so name it in wrangler.jsonc"
        )
    if missing := [name for name in names if not callable(getattr(binding, name, None))]:
        raise ConfigurationError(
            f"binding is that of {kind}; {type(binding).__name__} has no {', '.join(missing)}"
        )
