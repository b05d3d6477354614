"""The options for which Vectorize a command works on: embedded, a server, or Cloudflare."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec
from urllib.parse import urlsplit, urlunsplit

import typer

from vectorize_core import paths
from vectorize_core.cli.errors import as_options, fail, report_errors
from vectorize_core.client import VectorizeClient
from vectorize_core.errors import ConnectionFailedError, VectorizeError
from vectorize_core.secret import Secret, hidden
from vectorize_core.transport.credentials import Credentials, find_credentials
from vectorize_core.transport.loopback import is_loopback
from vectorize_core.transport.retry import RetryPolicy

P = ParamSpec("P")

_API_PATH = "/client/v4"
_PANEL = "Which Vectorize"
_RETRY = RetryPolicy(read_deadline=10.0)
_LOCAL_RETRY = RetryPolicy(read_deadline=1.0, write_deadline=1.0)
"""Retries are short: a person waits at the terminal, and a local server runs or does not."""
IndexName = Annotated[str, typer.Argument(metavar="NAME", help="The index.", show_default=False)]


@dataclass(frozen=True, slots=True)
class Target:
    """The values of these options. What they leave out comes from the environment."""

    path: Annotated[
        str | None,
        typer.Option(
            "--path",
            metavar="DIR",
            help="The directory of an embedded Vectorize.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    url: Annotated[
        Secret[str] | None,
        typer.Option(
            "--url",
            metavar="URL",
            help="A server such as http://127.0.0.1:8989. Else CLOUDFLARE_BASE_URL, "
            "else Cloudflare.",
            parser=Secret,
            rich_help_panel=_PANEL,
        ),
    ] = None
    account_id: Annotated[
        str | None,
        typer.Option(
            "--account-id",
            metavar="ID",
            help="The account. Else CLOUDFLARE_ACCOUNT_ID.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    token: Annotated[
        Secret[str] | None,
        typer.Option(
            "--token",
            metavar="TOKEN",
            help="An API token. Better CLOUDFLARE_API_TOKEN: options show in process lists.",
            parser=Secret,
            rich_help_panel=_PANEL,
        ),
    ] = None
    api_key: Annotated[
        Secret[str] | None,
        typer.Option(
            "--api-key",
            metavar="KEY",
            help="A global API key instead, with --email. Else CLOUDFLARE_API_KEY.",
            parser=Secret,
            rich_help_panel=_PANEL,
        ),
    ] = None
    email: Annotated[
        str | None,
        typer.Option(
            "--email",
            metavar="ADDRESS",
            help="Goes with --api-key. Else CLOUDFLARE_EMAIL.",
            rich_help_panel=_PANEL,
        ),
    ] = None

    def check(self) -> None:
        """Refuse options that contradict each other, and a path that is none."""
        if self.path is not None:
            paths.absolute(self.path, "--path")
        others = [f.name for f in fields(self) if f.name != "path" and getattr(self, f.name)]
        if self.path is not None and others:
            raise typer.BadParameter(
                f"--path is an embedded Vectorize, --{others[0].replace('_', '-')} another one; "
                "give one of them"
            )

    def credentials(self) -> Credentials:
        """The credentials for a server or Cloudflare. `ConfigurationError` if any are missing."""
        return find_credentials(
            account_id=self.account_id,
            api_token=self.token,
            api_key=self.api_key,
            email=self.email,
            base_url=None if self.url is None else Secret(api_address(hidden(self.url).reveal())),
        )

    def client(
        self, retry: RetryPolicy | None = None, *, create: bool | None = None
    ) -> VectorizeClient:
        """A client; this sends nothing. A directory must hold one, unless ``create`` makes that.

        ``create`` is None in a command that has no ``--create``.
        """
        if self.path is not None:
            directory = self.path if create else existing_directory(self.path, create)
            return VectorizeClient.local(directory, retry=retry)
        base_url = self.credentials().base_url
        if retry is None:
            retry = _LOCAL_RETRY if is_loopback(base_url) else _RETRY
        secrets: dict[str, Any] = {"api_token": self.token, "api_key": self.api_key}
        return VectorizeClient(
            self.account_id, email=self.email, base_url=base_url, retry=retry, **secrets
        )

    @property
    def description(self) -> str:
        """Where the Vectorize is, in words, without a secret."""
        if self.path is not None:
            return f"the embedded Vectorize in {self.path}"
        credentials = self.credentials()
        return f"account {credentials.account_id} at {credentials.base_url}"


def api_address(url: str) -> str:
    """``url`` as a base URL, http if it has no scheme, with the path of the API if it has none."""
    if "://" not in url:
        url = f"http://{url}"
    try:
        parts = urlsplit(url)
    except ValueError:
        # `find_credentials` says what is wrong, and shows no password that is in it.
        return url
    if parts.path in ("", "/"):
        parts = parts._replace(path=_API_PATH)
    return urlunsplit(parts)


def with_target(command: Callable[Concatenate[Target, P], None]) -> Callable[..., None]:
    """``command`` with the options of `Target` in place of its first parameter.

    Typer finds options in the signature, so the signature is put together here. Errors are
    reported as `report_errors` does.
    """
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    shared = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in inspect.signature(Target, eval_str=True).parameters.values()
    ]

    @report_errors
    @functools.wraps(command)
    def run(**given: Any) -> None:
        target = Target(**{parameter.name: given.pop(parameter.name) for parameter in shared})
        target.check()
        try:
            command(target, **given)  # type: ignore[call-arg]
        except ConnectionFailedError as error:
            if target.path is not None:
                raise  # It is of the database that is read.
            fail(
                f"{as_options(str(error))} ({target.description}). Check --url and the network; "
                "a server of your own is started with: vectorize-stores serve"
            )

    # Keyword-only, so that parameters with a default may come before those without.
    own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    setattr(run, "__signature__", inspect.Signature([*own, *shared]))  # noqa: B010
    run.__annotations__ = {p.name: p.annotation for p in [*own, *shared]}
    # Otherwise `inspect` would return the signature of the command itself.
    del run.__wrapped__  # type: ignore[attr-defined]
    return run


def existing_directory(path: str, create: bool | None = None) -> Path:
    """``path`` as an absolute one, if it holds a Vectorize: any other would read as empty."""
    from vectorize_core.local.storage import (  # noqa: PLC0415 (sqlite3, only where used)
        FILE_NAME,
        missing_database,
    )

    directory = Path(paths.absolute(path, "--path"))
    with paths.explained("the embedded Vectorize", str(directory)):
        try:
            os.stat(directory / FILE_NAME)
            found = True
        except FileNotFoundError:
            # One that has lost its database is damaged, which the embedded Vectorize itself says.
            found = missing_database(directory) is not None
    if not found:
        makers = (
            "One is made by path= of a store, by VectorizeClient.local(path), or by: "
            "vectorize-stores serve --data DIR"
        )
        raise VectorizeError(
            f"there is no embedded Vectorize in {directory}. "
            f"{makers if create is None else '--create makes one'}"
        )
    return directory
