"""Everything of an error that may be printed, but what tests themselves hold."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path
from pprint import pformat
from typing import Any

TESTS = Path(__file__).parent


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error, and all that it came of, also what is not printed by default."""
    seen: set[int] = set()
    left = [error]
    while left:
        one = left.pop()
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            more = [one.__cause__, one.__context__, *getattr(one, "causes", ())]
            more += getattr(one, "exceptions", ())
            left += [found for found in more if isinstance(found, BaseException)]


def shown(value: Any) -> str:
    """A value as what prints tracebacks shows it."""
    return "\n".join([repr(value), str(value), pformat(value), rich_text(value)])


def rich_text(value: Any) -> str:
    from rich.pretty import pretty_repr

    return pretty_repr(value, max_string=8, max_length=100, max_depth=6)


def places(error: BaseException, *secrets: str) -> list[str]:
    """Where one of ``secrets`` would be seen: in a text, or in a variable of a frame.

    Frames of tests do not count: what a caller holds itself is not ours to hide.
    """
    found = []
    for one in chain(error):
        texts = [str(one), repr(one), *map(shown, one.args), shown(vars(one))]
        texts += traceback.format_exception_only(one)
        if any(secret in text for secret in secrets for text in texts):
            found.append(f"{type(one).__name__}: {one}")
        for frame, line in traceback.walk_tb(one.__traceback__):
            path = Path(frame.f_code.co_filename)
            if TESTS in path.parents:
                continue
            for name, value in frame.f_locals.items():
                try:
                    text = shown(value)
                except Exception as failure:  # What prints tracebacks prints this instead.
                    text = str(failure)
                if any(secret in text for secret in secrets):
                    found.append(f"{type(one).__name__}: {path}:{line} {name} = {text[:80]}")
    return found
