"""The command ``wrangler``: a local Vectorize for ``wrangler dev``, which has none of its own.

The project's configuration is not touched, nor is its ``package.json``. Beside it stand a second
configuration, for ``wrangler dev --config``, and a plugin for it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer

from vectorize_core import paths
from vectorize_core.cli.errors import report_errors
from vectorize_core.cli.output import escaped, note
from vectorize_core.cli.wrangler_config import PLUGIN, as_json, check_installed, read_config
from vectorize_core.errors import ConfigurationError

CONFIG: Final = "wrangler.vectorize-local.jsonc"
FOLDER: Final = ".vectorize-local"
_MADE: Final = "made-from.json"
_HEAD: Final = "// Made by `vectorize-stores wrangler`"
_PACKAGE: Final = {
    "name": PLUGIN,
    "version": "1.0.0",
    "private": True,
    "type": "module",
    "main": "index.js",
}
_BEGINNINGS: Final = {
    CONFIG: _HEAD,
    ".gitignore": "*\n",
    "index.js": _HEAD,
    _MADE: '{\n  "config": "wrangler.',
    "package.json": f'{{\n  "name": "{PLUGIN}"',
}
"""What is written, and what each file begins with."""


@report_errors
def wrangler(
    directory: Annotated[str, typer.Argument(metavar="DIR", help="The Worker's project.")],
    url: Annotated[
        str, typer.Option("--url", metavar="URL", help="The server, as `serve` prints it.")
    ] = "http://127.0.0.1:8989",
    remove: Annotated[
        bool, typer.Option("--remove", help="Take out what this command has written.")
    ] = False,
) -> None:
    """Write what `wrangler dev` needs to use a local Vectorize; a deployment is not affected."""
    project = Path(paths.absolute(directory, "DIR"))
    if not project.is_dir():
        raise ConfigurationError(f"{project} is no directory")
    if remove:
        _remove(project)
    else:
        _write(project, _address(url))


def _write(project: Path, address: str) -> None:
    config = read_config(project)
    bindings = config.bindings()
    if not bindings:
        raise ConfigurationError(
            f"{config.path} has no Vectorize binding: add one, such as "
            '"vectorize": [{"binding": "DOCS", "index_name": "docs"}]'
        )
    version = check_installed(project)
    local, folder = project / CONFIG, project / FOLDER
    content = config.with_local_bindings(folder, address)
    _check_ours(local, folder)
    folder.mkdir(exist_ok=True)
    (folder / ".gitignore").write_bytes(b"*\n")
    plugin = Path(__file__).with_name("wrangler_plugin.js").read_bytes()
    (folder / "index.js").write_bytes(plugin)
    made_from = {"config": config.path.name, "sha256": config.digest}
    (folder / _MADE).write_bytes(as_json(made_from))
    (folder / "package.json").write_bytes(as_json(_PACKAGE))
    head = f"{_HEAD} from {config.path.name}: change that, and run it again.\n".encode()
    local.write_bytes(head + content)
    for one in bindings:
        of = "" if one.environment is None else f" of --env {one.environment}"
        typer.echo(escaped(f"env.{one.name}{of} is the index {one.index} at {address}"))
    note(f"with wrangler {version}: npx wrangler dev --config {CONFIG}")
    note(f"`wrangler deploy` reads {config.path.name}, which is as it was")
    note(f"{CONFIG} names paths of this machine, so do not commit it")


def _remove(project: Path) -> None:
    local, folder = project / CONFIG, project / FOLDER
    _check_ours(local, folder)
    there = [path for path in (local, folder) if path.exists()]
    if local in there:
        local.unlink()
    if folder in there:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    note(f"{CONFIG} and {FOLDER} are gone" if there else "nothing to remove")


def _check_ours(local: Path, folder: Path) -> None:
    """Raise if something of the user's would be overwritten or removed."""
    is_folder = folder.is_dir() and not folder.is_symlink()
    for path in (local, *(folder.iterdir() if is_folder else [folder])):
        if os.path.lexists(path) and not _is_ours(path):
            raise ConfigurationError(f"{path} was not made by this command: move it away")


def _is_ours(path: Path) -> bool:
    beginning = _BEGINNINGS.get(path.name)
    if beginning is None or path.is_symlink() or not path.is_file():
        return False
    return path.read_bytes().startswith(beginning.encode())


def _address(url: str) -> str:
    """Host and port of a server, which a plugin can only reach without TLS."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port or 80
    except ValueError as error:
        raise ConfigurationError(f"--url is no address: {error}") from None
    if parts.scheme != "http" or not host or parts.username is not None:
        raise ConfigurationError(
            "--url is an address such as http://127.0.0.1:8989, without TLS and without a password"
        )
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
