"""Errors as a person at a terminal wants them: what happened, what to do, no traceback."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable
from typing import NoReturn, ParamSpec

import typer

from vectorize_core.cli.output import escaped
from vectorize_core.errors import VectorizeError

P = ParamSpec("P")

_AS_OPTIONS = (
    ("path=':memory:' or a directory", "--path DIR (embedded) or --url URL (a server)"),
    ("account_id=", "--account-id"),
    ("api_token=", "--token"),
    ("api_key=", "--api-key"),
    ("email=", "--email"),
    ("wait_timeout=", "--wait"),
    ("base_url", "--url"),
)
"""What messages of the library call arguments, and what they are here."""


def fail(message: str, code: int = 1) -> NoReturn:
    """Say what went wrong on stderr, and exit."""
    typer.echo(f"Error: {message}", err=True)
    raise typer.Exit(code)


def as_options(message: str) -> str:
    """A message of the library with the names of options; fit for a terminal."""
    for argument, option in _AS_OPTIONS:
        message = message.replace(argument, option)
    return escaped(message)


def report_errors(command: Callable[P, None]) -> Callable[P, None]:
    """``command``, whose expected errors are said in a line or two, with exit code 1."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except BrokenPipeError:
            # Whoever reads has enough, as with `list NAME | head`: not an error, and not ours.
            raise
        except (VectorizeError, OSError, sqlite3.Error) as error:
            fail(as_options(str(error)) or type(error).__name__)

    return run
