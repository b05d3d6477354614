"""Errors on a terminal: what happened and what to do, without a traceback."""

from __future__ import annotations

import functools
import re
import sqlite3
import warnings
from collections.abc import Callable
from typing import Final, NoReturn, ParamSpec

import typer

from vectorize_core.cli.output import escaped, note
from vectorize_core.errors import VectorizeError, in_words

P = ParamSpec("P")

_AS_OPTIONS = (
    ("path=':memory:' or a directory", "--path DIR (embedded) or --url URL (a server)"),
    ("account_id=", "--account-id"),
    ("api_token=", "--token"),
    ("api_key=", "--api-key"),
    ("email=", "--email"),
    ("wait_timeout=", "--wait"),
    ("base_url", "--url"),
    ("create_index=True lets the store make it", "--create makes it"),
    ("metadata_indexes=", "--metadata-index"),
    ("texts=D1Texts(database_id), or another TextStore", "--d1 ID, a D1 database"),
    ("(texts=False)", "(--no-texts)"),
    (
        "give the store the texts= that it was written with",
        "give --d1 ID, or --path DIR where a store with path= wrote it",
    ),
    ("take it for empty with on_missing_text='empty'", "leave long texts out with --no-texts"),
    ("unindexed='scan'", "--scan"),
    ("max_requests= (None: any number)", "--max-requests"),
    ("max_requests= ", "--max-requests "),
    ("max_requests=", "--max-requests "),
    ("by namespace=", "by --namespace"),
    ("with collection=", "with --collection"),
    ("with vector=", "with --vector"),
    ("leave vector= out", "leave --vector out"),
    ("with metric=", "with --metric "),
    ("the metric= to", "the --metric to"),
)
"""Arguments in the library's messages, each with the option that stands for it."""
_METADATA_INDEX: Final = re.compile(r"metadata_indexes=\{'([^']+)': '(\w+)'\}")


def fail(message: str, code: int = 1) -> NoReturn:
    """Print an error on stderr, and exit."""
    typer.echo(f"Error: {message}", err=True)
    raise typer.Exit(code)


def as_options(message: str) -> str:
    """A message of the library that names options in place of arguments, and is escaped."""
    message = _METADATA_INDEX.sub(r"--metadata-index \1:\2", message)
    for argument, option in _AS_OPTIONS:
        message = message.replace(argument, option)
    return escaped(message)


def _note(message: Warning | str, *_: object, **__: object) -> None:
    note(as_options(str(message)))


def report_errors(command: Callable[P, None]) -> Callable[P, None]:
    """``command``, which prints expected errors in a line or two and exits with 1.

    Warnings are notes.
    """

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with warnings.catch_warnings():
            warnings.showwarning = _note
            try:
                command(*args, **kwargs)
            except BrokenPipeError:
                # The reader has ended, as with `list NAME | head`: Typer ends the command.
                raise
            except (VectorizeError, OSError, sqlite3.Error) as error:
                fail(as_options(str(error) or in_words(error)))

    return run
