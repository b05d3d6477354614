"""The option ``--switch NAME=VALUE`` of ``serve``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, get_args, get_origin, get_type_hints

import typer

from vectorize_core.behavior import Behavior


def parse(given: Iterable[str], settings: type) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of `Behavior`, and those of ``settings``, that ``given`` sets.

    docs/local-server.md lists both.
    """
    of_service = get_type_hints(Behavior)
    of_server = {
        name: kind for name, kind in get_type_hints(settings).items() if get_origin(kind) is Literal
    }
    behavior: dict[str, Any] = {}
    server: dict[str, Any] = {}
    for text in given:
        name, separator, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not separator or name not in {**of_service, **of_server}:
            known = ", ".join(sorted({**of_service, **of_server}))
            raise typer.BadParameter(f"--switch {text!r} is not NAME=VALUE with one of {known}")
        if name in of_service:
            behavior[name] = _value(name, value.strip(), of_service[name])
        else:
            server[name] = _value(name, value.strip(), of_server[name])
    return behavior, server


def _value(name: str, text: str, kind: Any) -> Any:
    if get_origin(kind) is Literal or kind is bool:
        choices = get_args(kind) if kind is not bool else (True, False)
        found = [choice for choice in choices if str(choice).lower() == text.lower()]
        if not found:
            raise typer.BadParameter(
                f"--switch {name} is one of {', '.join(str(c).lower() for c in choices)}"
            )
        return found[0]
    try:
        return kind(text)
    except ValueError:
        raise typer.BadParameter(f"--switch {name} takes a number; got {text!r}") from None
