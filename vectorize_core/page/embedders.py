"""The embedding model that searches by text use: an object of LangChain or LlamaIndex.

Neither framework is imported here: an object of either is known by its method.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import inspect
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import vectorize_core
from vectorize_core.errors import ConfigurationError
from vectorize_core.page.answers import PageError
from vectorize_core.transport.io import Io

logger = logging.getLogger("vectorize_core.server")
DEMO: Final = "examples.minilm_langchain:MiniLMEmbeddings"
"""The model of the repository's demo."""
_METHODS: Final = ("embed_query", "get_query_embedding")
_AT_ONCE: Final = 2
_PATIENCE: Final = 10.0
"""Seconds that a text waits for its turn."""
MOST_CHARACTERS: Final = 100_000


class Embedder:
    """An embedding model: what has ``embed_query`` or ``get_query_embedding``."""

    def __init__(self, model: object, name: str | None = None) -> None:
        found = (getattr(model, method, None) for method in _METHODS)
        embed = next(filter(callable, found), None)
        if embed is None or isinstance(model, type):
            raise ConfigurationError(
                "an embedder has a method embed_query (LangChain) or get_query_embedding "
                f"(LlamaIndex); a {type(model).__name__} has neither"
            )
        self._embed: Callable[[str], Any] = embed
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self.name = name if name is not None else type(model).__name__

    async def embed(self, io: Io, text: str) -> Any:
        """The embedding of a text, made in a thread.

        `PageError` if the model fails, or is still at work on others after some seconds: what it
        has begun goes on when the browser has left, and has its turn until it ends.
        """
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._turns.acquire()
        except TimeoutError:
            raise PageError(
                503,
                "Busy",
                f"the embedding model {self.name} is still at work on {_AT_ONCE} other texts",
                "try again; if it never answers, start the command anew",
            ) from None
        made = asyncio.ensure_future(io.offload(lambda: self._made(text[:MOST_CHARACTERS])))
        made.add_done_callback(lambda _: self._turns.release())
        return await asyncio.shield(made)

    def _made(self, text: str) -> Any:
        try:
            return self._embed(text)
        except BaseException as error:
            # What it says may hold a key, such as that of its own API, in an address.
            logger.error("the embedding model %s failed", self.name, exc_info=error)
            said = f"the embedding model {self.name} failed: {type(error).__name__}"
            hint = "the log of the command has more"
            raise PageError(502, "EmbedderError", said, hint) from None


def load(given: str) -> Embedder:
    """The model that ``module:attribute`` names, or "demo"; `ConfigurationError` otherwise.

    The attribute is a model, or what makes one without arguments: a class, or a function.
    """
    where = _demo() if given == "demo" else given
    module, separator, attribute = where.partition(":")
    if not (module and separator and attribute):
        raise ConfigurationError(
            f"{given!r} is no embedder: give module:attribute, such as my_app.models:embedding"
        )
    found = _attribute(module, attribute, given)
    if not any(hasattr(found, method) for method in _METHODS) or inspect.isclass(found):
        if not callable(found):
            raise ConfigurationError(f"{given!r} is no embedder, but a {type(found).__name__}")
        try:
            found = found()
        except (Exception, SystemExit) as error:
            raise ConfigurationError(
                f"{given!r} cannot be called without arguments: {type(error).__name__}: {error}"
            ) from error
    return Embedder(found, given)


def _attribute(module: str, attribute: str, given: str) -> Any:
    # As python -m does: a script's folder would be that of the command.
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module)
        for name in attribute.split("."):
            found = getattr(found, name)
    except ModuleNotFoundError as error:
        if error.name and (module == error.name or module.startswith(f"{error.name}.")):
            raise ConfigurationError(f"{given!r}: there is no module {error.name!r}") from None
        raise ConfigurationError(f"{given!r} needs the package {error.name}") from error
    except AttributeError as error:
        raise ConfigurationError(f"{given!r}: {error}") from None
    except (Exception, SystemExit) as error:
        said = f"{type(error).__name__}: {error}"
        raise ConfigurationError(f"{given!r} cannot be imported: {said}") from error
    return found


def _demo() -> str:
    """The demo's model, if this is the repository."""
    root = Path(vectorize_core.__file__).parent.parent
    if not (root / "examples" / "demo.py").is_file():
        raise ConfigurationError("the demo's model comes with the repository, which this is not")
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    return DEMO
