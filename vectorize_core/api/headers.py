"""What the headers of an answer say: its id, what is left of rate limits, how long to wait.

A header that cannot be right says nothing, and never fails a request: not a negative number, nor
one of a thousand digits, nor a delay of more than an hour.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

_LONGEST_DELAY: Final = 3_600.0
"""Seconds. Cloudflare blocks for five minutes; a larger number is a point in time, or a lie."""
_LONGEST_ID: Final = 200
_MOST_LIMITS: Final = 8
"""Rate limits that are read of one answer; Cloudflare tells of one or two."""
_WHOLE: Final = re.compile(r"[0-9]{1,15}")
_SECONDS: Final = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?")


def request_id(headers: Mapping[str, str]) -> str | None:
    """The id that Cloudflare's support asks for, unless it cannot be one."""
    ray = headers.get("cf-ray")
    return ray if ray and len(ray) <= _LONGEST_ID and ray.isprintable() else None


class Quota(NamedTuple):
    """Requests ``left`` of a rate limit; in ``seconds`` it starts again with ``quota``."""

    name: str
    left: int
    seconds: float
    quota: int | None


def quotas(headers: Mapping[str, str]) -> list[Quota]:
    """The rate limits in an answer's headers, without those that are malformed.

    They are in ``Ratelimit`` and ``Ratelimit-Policy`` (a draft of the IETF), or in the older
    ``x-ratelimit-limit``, ``-remaining`` and ``-reset``.
    https://developers.cloudflare.com/fundamentals/api/reference/limits/
    """
    policies = _items(headers.get("ratelimit-policy", ""))
    told = [
        _quota(name, item.get("r"), item.get("t"), policies.get(name, {}).get("q"))
        for name, item in _items(headers.get("ratelimit", "")).items()
    ]
    known = [quota for quota in told if quota is not None]
    if known:
        return known
    names = ("remaining", "reset", "limit")
    older = _quota("", *(headers.get(f"x-ratelimit-{name}") for name in names))
    return [] if older is None else [older]


def _quota(name: str, left: str | None, seconds: str | None, most: str | None) -> Quota | None:
    requests, delay = _whole(left), _delay(seconds)
    if requests is None or delay is None:
        return None
    return Quota(name, requests, delay, _whole(most))


def _items(header: str) -> dict[str, dict[str, str]]:
    """``"a";r=1;t=2, "b";r=3`` as a dict of dicts."""
    items: dict[str, dict[str, str]] = {}
    if not header:
        return items
    for item in header.split(",", _MOST_LIMITS)[:_MOST_LIMITS]:
        name, *parameters = (part.strip() for part in item.split(";"))
        pairs = (parameter.partition("=") for parameter in parameters)
        items[name] = {key.strip(): value.strip() for key, _, value in pairs}
    return items


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds the service asks to wait: ``Retry-After``, else until a used-up limit starts again.

    A ``Retry-After`` that is a date is compared with the answer's own.
    """
    asked = headers.get("retry-after")
    if asked is not None:
        delay = _delay(asked)
        if delay is None:
            date = headers.get("date")
            now = datetime.now(UTC) if date is None else _date(date)
            until = _date(asked)
            if now is not None and until is not None:
                seconds = max((until - now).total_seconds(), 0.0)
                delay = seconds if seconds <= _LONGEST_DELAY else None
        if delay is not None:
            return delay
    limits = quotas({"x-ratelimit-remaining": "0", **headers})
    return max((limit.seconds for limit in limits if limit.left <= 0), default=None)


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and _WHOLE.fullmatch(text) else None


def _delay(text: str | None) -> float | None:
    if text is None or not _SECONDS.fullmatch(text):
        return None
    seconds = float(text)
    return seconds if seconds <= _LONGEST_DELAY else None


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
        # One without a zone could not be compared; those of HTTP are all in UTC.
        return date.astimezone(UTC) if date.tzinfo is not None else date.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
