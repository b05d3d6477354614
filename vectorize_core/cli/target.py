"""Which Vectorize a command works on: embedded, a server, or Cloudflare."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec
from urllib.parse import urlsplit, urlunsplit

import typer

from vectorize_core.cli.errors import as_options, fail, report_errors
from vectorize_core.client import VectorizeClient
from vectorize_core.errors import ConnectionFailedError, VectorizeError
from vectorize_core.transport.credentials import Credentials, find_credentials
from vectorize_core.transport.loopback import is_loopback
from vectorize_core.transport.retry import RetryPolicy

P = ParamSpec("P")

API_PATH = "/client/v4"
_PANEL = "Which Vectorize"
_RETRY = RetryPolicy(read_deadline=10.0)
_LOCAL_RETRY = RetryPolicy(read_deadline=1.0, write_deadline=1.0)
"""Who waits at a terminal wants to know soon; a server on this machine is up, or it is not."""


@dataclass(frozen=True, slots=True)
class Target:
    """What the options say; the environment has the rest."""

    path: Annotated[
        Path | None,
        typer.Option(
            "--path",
            metavar="DIR",
            help="The directory of an embedded Vectorize.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            metavar="URL",
            help="A server such as http://127.0.0.1:8989. Else CLOUDFLARE_BASE_URL, "
            "else Cloudflare.",
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
        str | None,
        typer.Option(
            "--token",
            metavar="TOKEN",
            help="An API token. Better CLOUDFLARE_API_TOKEN: options show in process lists.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    api_key: Annotated[
        str | None,
        typer.Option(
            "--api-key",
            metavar="KEY",
            help="A global API key instead, with --email. Else CLOUDFLARE_API_KEY.",
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
        """Refuse what contradicts itself."""
        others = [f.name for f in fields(self) if f.name != "path" and getattr(self, f.name)]
        if self.path is not None and others:
            raise typer.BadParameter(
                f"--path is an embedded Vectorize, --{others[0].replace('_', '-')} another one; "
                "give one of them"
            )

    def credentials(self) -> Credentials:
        """What goes to a server or to Cloudflare; `ConfigurationError` if it is not all there."""
        return find_credentials(
            account_id=self.account_id,
            api_token=self.token,
            api_key=self.api_key,
            email=self.email,
            base_url=None if self.url is None else api_address(self.url),
        )

    def client(self, retry: RetryPolicy | None = None) -> VectorizeClient:
        """A client; sends nothing yet."""
        if self.path is not None:
            return VectorizeClient.local(existing_directory(self.path), retry=retry)
        base_url = self.credentials().base_url
        if retry is None:
            retry = _LOCAL_RETRY if is_loopback(base_url) else _RETRY
        return VectorizeClient(
            self.account_id,
            self.token,
            api_key=self.api_key,
            email=self.email,
            base_url=base_url,
            retry=retry,
        )

    @property
    def place(self) -> str:
        """Where that is, in words, without a secret."""
        if self.path is not None:
            return f"the embedded Vectorize in {self.path}"
        credentials = self.credentials()
        return f"account {credentials.account_id} at {credentials.base_url}"


def api_address(url: str) -> str:
    """``url`` as a base URL: http where no scheme is given, the API where no path is."""
    if "://" not in url:
        url = f"http://{url}"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise typer.BadParameter(f"--url {url}: {error}") from None
    if parts.path in ("", "/"):
        parts = parts._replace(path=API_PATH)
    return urlunsplit(parts)


def with_target(command: Callable[Concatenate[Target, P], None]) -> Callable[..., None]:
    """``command`` with the options that say which Vectorize, and with readable errors.

    Its first parameter is the `Target`; the others are its own. Typer reads options out of the
    signature, so the fields of `Target` stand there in place of that parameter.
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
            fail(
                f"{as_options(str(error))} ({target.place}). Check --url and the network; "
                "a server of your own is started with: vectorize-stores serve"
            )

    # As keywords only, for an option with a default may then stand before one without.
    own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    setattr(run, "__signature__", inspect.Signature([*own, *shared]))  # noqa: B010
    run.__annotations__ = {p.name: p.annotation for p in [*own, *shared]}
    # Or the signature of the command itself would be found instead.
    del run.__wrapped__  # type: ignore[attr-defined]
    return run


def existing_directory(directory: Path) -> Path:
    """``directory``, which must hold a Vectorize: a command that reads would make an empty one."""
    from vectorize_core.local.storage import FILE_NAME  # noqa: PLC0415 (sqlite3, only where used)

    if not (directory / FILE_NAME).is_file():
        raise VectorizeError(
            f"there is no embedded Vectorize in {directory}. One is made by path= of a store, by "
            "VectorizeClient.local(path), or by: vectorize-stores serve --data DIR"
        )
    return directory
