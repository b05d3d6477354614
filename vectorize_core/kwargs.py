"""Wrong arguments: a TypeError that names the right words, where Python's own does not."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from difflib import get_close_matches
from functools import cache, partial, wraps
from itertools import chain
from types import MappingProxyType
from typing import Any, Final, TypeVar, get_args, get_type_hints

from vectorize_core.secret import SECRETS, hidden, hide

T = TypeVar("T")
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_SAME: Final = (
    ("k", "top_k", "similarity_top_k", "n_results", "num_results", "limit", "topK", "top_n"),
    ("filter", "filters", "where", "expr", "md_filter", "pre_filter", "query_filter"),
    ("dimensions", "dimension", "dim", "dims", "embed_dim", "vector_size"),
    ("metric", "distance", "distance_strategy", "distance_metric", "metric_type"),
    ("index_name", "collection_name", "chroma_collection", "table_name", "collection", "index"),
    ("path", "persist_directory", "persist_dir", "persist_path", "location"),
    ("base_url", "url", "uri", "host", "endpoint"),
    ("embedding", "embeddings", "embedding_function", "embed_model"),
    ("api_token", "vectorize_api_token", "token"),
    ("wait_timeout", "timeout", "default_wait_seconds"),
    ("batch_size", "chunk_size", "embedding_chunk_size"),
    ("metadatas", "metadata", "payloads"),
    ("score_threshold", "threshold", "similarity_threshold", "similarity_cutoff"),
    ("namespace", "partition", "tenant"),
    ("retrieval_mode", "mode", "search_mode", "query_mode", "vector_store_query_mode"),
    ("fusion", "hybrid_fusion", "fusion_type", "ranker"),
    ("alpha", "hybrid_alpha", "dense_weight", "vector_weight"),
)
"""Words for the same, here and in other libraries. A hint names the first one that fits."""
_D1 = 'long texts go to D1 with texts=D1Texts("<database id>")'
_WORDS = 'searches by words take text_index=True, or D1TextIndex("<database id>") on Cloudflare'
_INSTEAD: Final[Mapping[str, str]] = {
    "d1_database_id": _D1,
    "d1_binding": "long texts go to the D1 of a Worker with texts=D1Texts.from_binding(env.DB)",
    "d1_api_token": _D1,
    **dict.fromkeys(
        (
            *("enable_hybrid", "hybrid_search", "hybrid_search_config"),
            *("enable_sparse", "sparse_embedding", "text_search_config"),
        ),
        _WORDS,
    ),
}
"""Words of other libraries without a counterpart here, and what to do instead."""
_NEAR: Final = 0.65
"""How alike a mistyped word is to the right one; 0.6 finds "namespace" for "enable_sparse"."""
_HIDDEN: Final = frozenset({*SECRETS, "data", "update"})
"""Arguments that are, or may hold, a secret; of ``data`` and ``update`` a store is made."""


def checks_keywords(
    elsewhere: Mapping[str, str] | None = None, **of_methods: Mapping[str, str]
) -> Callable[[type[T]], type[T]]:
    """Let the constructor and all public methods of a class check the names of their keywords.

    ``elsewhere`` maps a keyword that is often given to the wrong method to what takes it, for
    inherited methods too; ``of_methods`` are such tables for single methods.
    """

    def decorate(cls: type[T]) -> type[T]:
        if elsewhere is not None:
            cls.__elsewhere__ = elsewhere  # type: ignore[attr-defined]
        for name, found in [*vars(cls).items()]:
            if name.startswith("_") and name != "__init__":
                continue
            table = of_methods.get(name)
            if inspect.isfunction(found):
                setattr(cls, name, _checked(found, table))
            elif isinstance(found, classmethod):
                setattr(cls, name, classmethod(_checked(found.__func__, table, cls)))
        return cls

    return decorate


def _checked(
    function: Callable[..., Any], table: Mapping[str, str] | None, made: type | None = None
) -> Callable[..., Any]:
    """``function`` with the check; a class method that makes objects of the class ``made``.

    The frame of the check is the outermost one of ours, so secrets are hidden there: no variable
    of that frame, or of those below, shows one in a traceback.
    """
    known = cache(partial(_keywords, function))
    code = function.__code__
    positional = code.co_varnames[1 : code.co_argcount]
    # A secret may stand among arguments that are too many, too.
    first_secret = next(
        (i for i, name in enumerate(positional) if name in _HIDDEN), code.co_argcount - 1
    )

    def shielded(args: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(args) <= first_secret:
            return args
        return (*args[:first_secret], *map(hidden, args[first_secret:]))

    def called_as(owner: Any) -> str:
        kind = owner if made is not None else type(owner)
        method = "" if function.__name__ == "__init__" else f".{function.__name__}"
        return f"{kind.__qualname__}{method}()"

    def check_number(owner: Any, number: int) -> None:
        if number > len(positional) and not code.co_flags & inspect.CO_VARARGS:
            others = ", ".join(name for name in known() if name not in positional)
            raise TypeError(
                f"{called_as(owner)} takes {', '.join(positional) or 'nothing'} by position "
                f"({number} given), {f'and by name {others}' if others else 'and nothing else'}"
            )

    def check(owner: Any, given: dict[str, Any]) -> None:
        if not _HIDDEN.isdisjoint(given):
            hide(given, _HIDDEN)
        if made is not None and owner.__init__ is not made.__init__:  # type: ignore[misc]
            return  # The constructor of a subclass may take more, and checks that itself.
        unknown = [name for name in given if name not in known()]
        if unknown:
            # A secret may stand under a wrong name.
            hide(given, unknown)
            kind = owner if made is not None else type(owner)
            elsewhere = getattr(kind, "__elsewhere__", _NOTHING) if table is None else table
            check_names(called_as(owner), given, known(), elsewhere)

    @wraps(function)
    def called(self: Any, /, *args: Any, **given: Any) -> Any:
        args = shielded(args)
        check_number(self, len(args))
        if given:
            check(self, given)
        return function(self, *args, **given)

    @wraps(function)
    async def awaited(self: Any, /, *args: Any, **given: Any) -> Any:
        args = shielded(args)
        check_number(self, len(args))
        if given:
            check(self, given)
        return await function(self, *args, **given)

    return awaited if inspect.iscoroutinefunction(function) else called


def check_names(
    taker: str,
    given: Iterable[str],
    known: Collection[str],
    elsewhere: Mapping[str, str] = _NOTHING,
) -> None:
    """Raise the TypeError for the first name in ``given`` that ``taker`` does not take."""
    wrong = next((name for name in given if name not in known), None)
    if wrong is not None:
        hint = _hint(wrong, known, elsewhere)
        raise TypeError(f"{taker} got an unexpected keyword argument {wrong!r}; {hint}")


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


def _hint(wrong: str, known: Collection[str], elsewhere: Mapping[str, str]) -> str:
    if wrong in _INSTEAD:
        return _INSTEAD[wrong]
    names = [*known, *elsewhere]
    same = [*chain.from_iterable(words for words in _SAME if wrong in words)]
    meant = [word for word in (wrong, *same) if word in names]
    if not same:
        meant += get_close_matches(wrong, names, n=1, cutoff=_NEAR)
    if not meant:
        return f"it takes {', '.join(known)}" if known else "it takes none"
    if meant[0] in known:
        return f"did you mean {meant[0]!r}?"
    return f"{elsewhere[meant[0]]} takes {'that' if meant[0] == wrong else repr(meant[0])}"
