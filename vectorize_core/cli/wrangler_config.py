"""A project of wrangler: its configuration, and the same with local Vectorize bindings."""

from __future__ import annotations

import copy
import hashlib
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypedDict

from vectorize_core.errors import ConfigurationError

NAMES: Final = ("wrangler.json", "wrangler.jsonc", "wrangler.toml")
"""In the order in which wrangler looks for them."""
OLDEST: Final = (4, 86)
"""The first wrangler whose plugins were tested with ours."""
PLUGIN: Final = "vectorize-local"
_NAMED: Final = ("binding", "index_name")
_TOKEN: Final = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_COMMA: Final = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])', re.DOTALL)


class Binding(TypedDict):
    """A Vectorize binding of a configuration."""

    binding: str
    index_name: str


@dataclass(frozen=True)
class WranglerConfig:
    """A configuration as it was read; ``digest`` is that of its bytes."""

    path: Path
    digest: str
    content: dict[str, Any] = field(repr=False)

    def bindings(self) -> list[Binding]:
        """The Vectorize bindings, also those of environments."""
        return [binding for scope in _scopes(self.content) for binding in self._of(scope)]

    def with_local_bindings(self, package: Path, address: str) -> dict[str, Any]:
        """The same configuration, with bindings of the plugin in ``package`` in their places."""
        content = copy.deepcopy(self.content)
        for scope in _scopes(content):
            found = [_local(binding, package, address) for binding in self._of(scope)]
            scope.pop("vectorize", None)
            if found:
                unsafe = scope.get("unsafe") or {}
                scope["unsafe"] = {**unsafe, "bindings": [*unsafe.get("bindings", ()), *found]}
        return content

    def _of(self, scope: dict[str, Any]) -> list[Binding]:
        found = scope.get("vectorize") or []
        for one in found if isinstance(found, list) else [None]:
            names = [one.get(name) for name in _NAMED] if isinstance(one, dict) else [None]
            if not all(isinstance(name, str) and name for name in names):
                raise ConfigurationError(
                    f"{self.path}: vectorize is a list of objects with a binding and an index_name"
                )
        return found


def read_config(directory: Path) -> WranglerConfig:
    """The configuration of the project in ``directory``; `ConfigurationError` if there is none."""
    for name in NAMES:
        path = directory / name
        if path.is_file():
            break
    else:
        raise ConfigurationError(
            f"{directory} has no {', '.join(NAMES)}: it is no Worker's project"
        )
    given = path.read_bytes()
    try:
        text = given.decode("utf-8-sig")
        content = tomllib.loads(text) if path.suffix == ".toml" else _json_with_comments(text)
    except ValueError as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path} is no configuration: it holds no object")
    return WranglerConfig(path, hashlib.sha256(given).hexdigest(), content)


def check_installed(directory: Path) -> str:
    """The version of the project's wrangler; `ConfigurationError` if it has no fitting one."""
    for folder in (directory, *directory.parents):
        about = folder / "node_modules" / "wrangler" / "package.json"
        if about.is_file():
            break
    else:
        raise ConfigurationError(
            f"wrangler is not installed in {directory}: npm install --save-dev wrangler"
        )
    try:
        version = str(json.loads(about.read_bytes())["version"])
        major, minor = map(int, version.split(".")[:2])
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(f"{about} names no version of wrangler") from None
    if (major, minor) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise ConfigurationError(
            f"wrangler {version} in {about.parent} is older than {oldest}, the first that was "
            "tested with a local Vectorize: npm install --save-dev wrangler@latest (or "
            f"wrangler@{oldest}.0, which runs on Node 20)"
        )
    return version


def _scopes(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What may have bindings: the configuration itself, and its environments."""
    yield content
    environments = content.get("env")
    if isinstance(environments, dict):
        yield from (scope for scope in environments.values() if isinstance(scope, dict))


def _local(given: Binding, package: Path, address: str) -> dict[str, Any]:
    # Of the type that it has on Cloudflare, so that nothing else could come of it there.
    return {
        "name": given["binding"],
        "type": "vectorize",
        "index_name": given["index_name"],
        "dev": {
            "plugin": {"package": str(package), "name": PLUGIN},
            "options": {"index": given["index_name"], "address": address},
        },
    }


def _json_with_comments(text: str) -> Any:
    """JSON with comments, and commas before closing brackets; lines stay where they are."""
    bare = _TOKEN.sub(lambda m: m[0] if m[0][0] == '"' else re.sub(r"[^\n]", " ", m[0]), text)
    return json.loads(_COMMA.sub(lambda m: m[1] or " ", bare))
