"""`HttpOptions`: how the API is reached over HTTP, and what each option may be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from vectorize_core.errors import ConfigurationError, shown
from vectorize_core.secret import hidden
from vectorize_core.transport.answer_body import MAX_ANSWER_BYTES
from vectorize_core.transport.events import OnEvent
from vectorize_core.transport.rate_limit import RateLimit
from vectorize_core.transport.retry import RetryPolicy

if TYPE_CHECKING:
    import httpx


class HttpOptions(TypedDict, total=False):
    """How the API is reached over HTTP: the arguments of `VectorizeClient`."""

    account_id: str | None
    api_token: str | None
    api_key: str | None
    email: str | None
    base_url: str | None
    timeout: float | httpx.Timeout | None
    max_answer_bytes: int
    retry: RetryPolicy | None
    rate_limit: RateLimit | None
    on_event: OnEvent | None
    http_client: httpx.Client | None
    async_http_client: httpx.AsyncClient | None


def check_options(options: HttpOptions) -> None:
    """`ConfigurationError` for the first option of a wrong type; no secret is shown."""
    _check_credentials(options)
    retry, rate_limit = options.get("retry"), options.get("rate_limit")
    if retry is not None and not isinstance(retry, RetryPolicy):
        raise ConfigurationError(f"retry is a RetryPolicy; got {shown(retry)}")
    if rate_limit is not None and not isinstance(rate_limit, RateLimit):
        raise ConfigurationError(f"rate_limit is a RateLimit or None; got {shown(rate_limit)}")
    _check_timeout(options.get("timeout"))
    most = options.get("max_answer_bytes", MAX_ANSWER_BYTES)
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise ConfigurationError(
            f"max_answer_bytes is a number of bytes, at least 1; got {shown(most)}"
        )
    on_event = options.get("on_event")
    if on_event is not None and not callable(on_event):
        raise ConfigurationError(f"on_event is a function of an event; got {shown(on_event)}")
    _check_clients(options)


def _check_credentials(options: Mapping[str, Any]) -> None:
    for name in ("account_id", "api_token", "api_key", "email", "base_url"):
        hiding = hidden(options.get(name))
        if hiding is not None and not isinstance(hiding.reveal(), str):
            kind = type(hiding.reveal()).__name__
            raise ConfigurationError(f"{name} is a string; got a {kind}")


def _check_timeout(timeout: Any) -> None:
    # An httpx.Timeout; httpx is not loaded here, nor need it be.
    is_timeout = isinstance(timeout, (int, float, tuple)) or hasattr(timeout, "as_dict")
    if isinstance(timeout, bool) or not (timeout is None or is_timeout):
        raise ConfigurationError(
            f"timeout is a number of seconds, or an httpx.Timeout; got {shown(timeout)}"
        )
    if isinstance(timeout, (int, float)) and not 0 < timeout < math.inf:
        raise ConfigurationError(
            "timeout is more than 0 seconds (httpx.Timeout(None) is no bound); "
            f"got {shown(timeout)}"
        )


def _check_clients(options: Mapping[str, Any]) -> None:
    for name in ("http_client", "async_http_client"):
        given = options.get(name)
        if given is not None and not callable(getattr(given, "request", None)):
            raise ConfigurationError(f"{name} is a client of httpx; got {word_or_kind(given)}")


def word_or_kind(value: object) -> str:
    """What stands in place of a client: a short word, of anything else only its type.

    It may be headers, a mapping of credentials, or an address with a password.
    """
    is_word = isinstance(value, str) and len(value) < 12
    return shown(value) if is_word else f"a {type(value).__name__}"
