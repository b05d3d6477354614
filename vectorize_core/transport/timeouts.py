"""How long a request may take: each of its steps, and all of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import httpx

from vectorize_core.api.operations import Kind

LEAST_SPEED: Final = 65_536
"""Bytes a second: a request has a second more for so many bytes that it sends."""
DEFAULTS: Final[Mapping[Kind, float]] = {"read": 10.0, "write": 60.0, "control": 60.0}
"""Seconds of a request by its kind."""
_LONGEST: Final = 10.0**8
"""Seconds; sockets take no more than some billions."""


class RequestTime(NamedTuple):
    """Seconds for each step, as httpx takes them, and for all of a request; None: no bound.

    ``more`` is what the steps after connecting have in addition, since much has to be sent.
    """

    steps: httpx.Timeout
    whole: float | None
    more: float


def request_time(
    timeout: Any,
    kind: Kind,
    *,
    size: int,
    within: float | None = None,
) -> RequestTime:
    """The time of a request that sends ``size`` bytes.

    A number of seconds is for all of it. Where the steps have times of their own, it has their sum:
    connecting, sending, receiving; and no bound if one of them has none. With ``within`` seconds
    it takes no longer than that.
    """
    timeout = DEFAULTS[kind] if timeout is None else timeout
    if isinstance(timeout, (int, float)):
        timeout = float(min(timeout, _LONGEST))
    steps = timeout if isinstance(timeout, httpx.Timeout) else httpx.Timeout(timeout)
    whole, more = _sum(steps), size / LEAST_SPEED
    if whole is not None:
        whole += more
    if within is not None:
        whole = within if whole is None else min(whole, within)
    return RequestTime(steps, whole, more)


def _sum(steps: httpx.Timeout) -> float | None:
    connect, write, read = steps.connect, steps.write, steps.read
    if connect is None or write is None or read is None:
        return None
    # One number for all steps is what it says.
    return connect if connect == write == read else connect + write + read
