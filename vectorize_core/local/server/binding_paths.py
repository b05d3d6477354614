"""The paths of a Workers binding: its calls themselves, and where Miniflare relays them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CALLS: Final = ("info", "query", "insert", "upsert", "getByIds", "deleteByIds")
PROXY: Final = "/proxy"
"""Miniflare sends every call here, or to a path below, and names it in a header."""
BINDING_HOST: Final = "vector-search"
"""The name under which workerd asks for what is behind a binding."""
_ROOT: Final = f"http://{BINDING_HOST}/"


def is_binding(path: str) -> bool:
    """Whether a request to ``path`` is a binding's, which expects no envelope."""
    return path == PROXY or path.startswith(f"{PROXY}/") or path[1:] in CALLS


def call_of(path: str, headers: Mapping[str, str]) -> str:
    """The call of a request to ``path``, perhaps a relayed one."""
    if path[1:] in CALLS:
        return path[1:]
    return headers.get("mf-url", "").removeprefix(_ROOT)


def whole_path(path: str, headers: Mapping[str, str]) -> str:
    """``path``, with the call if it relays one."""
    is_relayed = is_binding(path) and path[1:] not in CALLS
    return f"{path.rstrip('/')}/{call_of(path, headers)}" if is_relayed else path
