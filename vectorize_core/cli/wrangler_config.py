"""A project of wrangler: its configuration, and the same with local Vectorize bindings."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, time
from pathlib import Path
from typing import Any, Final, TypeVar

from vectorize_core.api.validation import check_index_name
from vectorize_core.errors import ConfigurationError, InvalidInputError, in_words, shown

T = TypeVar("T", list[Any], dict[str, Any])

NAMES: Final = ("wrangler.json", "wrangler.jsonc", "wrangler.toml")
"""In the order in which wrangler looks for them."""
OLDEST: Final = (4, 86)
"""The first wrangler whose plugins were tested with ours."""
PLUGIN: Final = "vectorize-local"
_NAMED: Final = ("binding", "index_name")
_TOKEN: Final = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_COMMA: Final = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])', re.DOTALL)


@dataclass(frozen=True)
class Binding:
    """A Vectorize binding of a configuration; of an environment if it has the name of one."""

    name: str
    index: str
    environment: str | None


@dataclass(frozen=True)
class WranglerConfig:
    """A configuration as it was read; ``digest`` is that of its bytes."""

    path: Path
    digest: str
    content: dict[str, Any] = field(repr=False)

    def bindings(self) -> list[Binding]:
        """The Vectorize bindings, also those of environments."""
        return [
            Binding(one["binding"], one["index_name"], environment)
            for environment, scope in self._scopes()
            for one in self._vectorize(scope)
        ]

    def with_local_bindings(self, package: Path, address: str) -> bytes:
        """The same configuration in JSON, with bindings of the plugin in ``package`` in place."""
        local = {name: self._with_local(scope, package, address) for name, scope in self._scopes()}
        content = local.pop(None)
        if local:
            content["env"] = local
        try:
            return as_json(content)
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(
                f"{self.path} has what JSON has not: {in_words(error)}"
            ) from None

    def _scopes(self) -> Iterator[tuple[str | None, dict[str, Any]]]:
        """What may have bindings: the configuration itself, and its environments."""
        yield None, self.content
        environments = self._of(self.content, "env", dict)
        yield from ((name, self._of(environments, name, dict)) for name in environments)

    def _with_local(self, scope: dict[str, Any], package: Path, address: str) -> dict[str, Any]:
        found = [_local(given, package, address) for given in self._vectorize(scope)]
        scope = {name: value for name, value in scope.items() if name != "vectorize"}
        if found:
            unsafe = self._of(scope, "unsafe", dict)
            scope["unsafe"] = {**unsafe, "bindings": [*self._of(unsafe, "bindings", list), *found]}
        return scope

    def _vectorize(self, scope: dict[str, Any]) -> list[dict[str, Any]]:
        found = self._of(scope, "vectorize", list)
        for one in found:
            names = [one.get(name) for name in _NAMED] if isinstance(one, dict) else [None]
            if not all(isinstance(name, str) and name for name in names):
                raise ConfigurationError(
                    f"{self.path}: vectorize is a list of objects with a binding and an index_name"
                )
            try:
                check_index_name(one["index_name"])
            except InvalidInputError as error:
                raise ConfigurationError(f"{self.path}: {error}") from None
        return found

    def _of(self, scope: dict[str, Any], name: str, kind: type[T]) -> T:
        """What ``scope`` has under a name; empty if it has nothing there."""
        found = scope.get(name)
        if found is None:
            return kind()
        if not isinstance(found, kind):
            what = "a list" if kind is list else "an object"
            raise ConfigurationError(f"{self.path}: {name} is {what}; got {shown(found)}")
        return found


def as_json(value: object) -> bytes:
    """JSON for a file, with times as wrangler reads them in TOML."""
    return f"{json.dumps(value, indent=2, allow_nan=False, default=_moment)}\n".encode()


def _moment(value: object) -> str:
    if isinstance(value, (datetime, time)):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return str(value)


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
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path} cannot be read: {in_words(error)}") from None
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


def _local(given: dict[str, Any], package: Path, address: str) -> dict[str, Any]:
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
