"""Wrong keyword arguments: a TypeError that names the right word, where Python's own does not."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cache, partial, wraps
from types import MappingProxyType
from typing import Any, Final, TypeVar, get_args, get_type_hints

T = TypeVar("T")
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_FILTER: Final = ("filter", "filters")
_MANY: Final = ("k", "top_k", "similarity_top_k")

WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("k", "top_k", "topK", "similarity_top_k", "n_results", "num_results"), _MANY),
    **dict.fromkeys(("limit", "n", "size", "top_n"), _MANY),
    **dict.fromkeys(("where", "expr", "md_filter", "pre_filter", "metadata_filter"), _FILTER),
    **dict.fromkeys(("filter", "filters", "query_filter", "search_filter"), _FILTER),
    **dict.fromkeys(("dimension", "dim", "dims", "embedding_dimension"), ("dimensions",)),
    **dict.fromkeys(("distance", "distance_strategy", "metric_type", "space"), ("metric",)),
    **dict.fromkeys(("collection_name", "collection", "index"), ("index_name",)),
    **dict.fromkeys(("persist_directory", "persist_dir", "location", "directory"), ("path",)),
    **dict.fromkeys(("embeddings", "embedding_function", "embed_model"), ("embedding",)),
    **dict.fromkeys(("vectorize_api_token", "token"), ("api_token",)),
    **dict.fromkeys(("timeout", "default_wait_seconds"), ("wait_timeout",)),
    **dict.fromkeys(("chunk_size", "embedding_chunk_size"), ("batch_size",)),
    **dict.fromkeys(("mmr_lambda", "lambda_"), ("lambda_mult",)),
    **dict.fromkeys(("metadata", "payloads"), ("metadatas", "metadata")),
    **dict.fromkeys(("threshold", "similarity_threshold"), ("score_threshold",)),
    "partition": ("namespace",),
    "tenant": ("namespace",),
}
"""Words of other libraries, and what they are here: the first that the function takes."""

_D1 = 'long texts go to D1 with texts=D1Texts("<database id>")'
INSTEAD: Final[Mapping[str, str]] = {
    "binding": "there is no Workers binding yet: give credentials (account_id=, api_token=) "
    "or client=",
    "d1_database_id": _D1,
    "d1_binding": _D1,
    "d1_api_token": _D1,
}
"""Words of other libraries that are no one word here, and what to do instead."""


def checks_keywords(
    elsewhere: Mapping[str, str] = _NOTHING, **of_methods: Mapping[str, str]
) -> Callable[[type[T]], type[T]]:
    """Let the constructor and all public methods of a class check the names of their keywords.

    ``elsewhere`` maps a keyword that is often given to the wrong method to what takes it;
    ``of_methods`` are such tables for single methods.
    """

    def decorate(cls: type[T]) -> type[T]:
        for name, found in [*vars(cls).items()]:
            if name.startswith("_") and name != "__init__":
                continue
            table = of_methods.get(name, elsewhere)
            if inspect.isfunction(found):
                setattr(cls, name, _checked(found, table))
            elif isinstance(found, classmethod):
                setattr(cls, name, classmethod(_checked(found.__func__, table, cls)))
        return cls

    return decorate


def _checked(
    function: Callable[..., Any], elsewhere: Mapping[str, str], made: type | None = None
) -> Callable[..., Any]:
    """``function`` with the check; a class method that makes objects of the class ``made``."""
    known = cache(partial(_keywords, function))

    def check(owner: Any, given: Mapping[str, Any]) -> None:
        if made is not None and owner.__init__ is not made.__init__:  # type: ignore[misc]
            return  # The constructor of a subclass may take more, and checks that itself.
        wrong = next((name for name in given if name not in known()), None)
        if wrong is not None:
            name = (owner if made is not None else type(owner)).__qualname__
            if function.__name__ != "__init__":
                name += f".{function.__name__}"
            hint = _hint(wrong, known(), elsewhere)
            raise TypeError(f"{name}() got an unexpected keyword argument {wrong!r}; {hint}")

    @wraps(function)
    def called(owner: Any, /, *args: Any, **given: Any) -> Any:
        if given:
            check(owner, given)
        return function(owner, *args, **given)

    @wraps(function)
    async def awaited(owner: Any, /, *args: Any, **given: Any) -> Any:
        if given:
            check(owner, given)
        return await function(owner, *args, **given)

    return awaited if inspect.iscoroutinefunction(function) else called


def _keywords(function: Callable[..., Any]) -> list[str]:
    """The keywords that a function takes, with those of its ``**options: Unpack[...]``."""
    names = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            names.append(parameter.name)
        elif parameter.kind == parameter.VAR_KEYWORD:
            (options,) = get_args(get_type_hints(function)[parameter.name])
            names += inspect.get_annotations(options)
    return [name for name in names if name not in ("self", "cls")]


def _hint(wrong: str, known: list[str], elsewhere: Mapping[str, str]) -> str:
    if wrong in INSTEAD:
        return INSTEAD[wrong]
    names = [*known, *elsewhere]
    meant = [name for name in (wrong, *WORDS.get(wrong, ())) if name in names]
    meant += get_close_matches(wrong, names, n=1, cutoff=0.5)
    if not meant:
        return f"it takes {', '.join(known)}" if known else "it takes none"
    if meant[0] in known:
        return f"did you mean {meant[0]!r}?"
    return f"{elsewhere[meant[0]]} takes {'that' if meant[0] == wrong else repr(meant[0])}"
