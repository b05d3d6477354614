"""What happens on a connection, for logs, metrics and traces: no content, no secrets."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import ClassVar, Literal

logger = logging.getLogger("vectorize_core")
LONG = 10.0
"""Seconds of standing still that are worth a warning."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened on a connection; ``name`` says what."""

    name: ClassVar[str]

    @property
    def level(self) -> int:
        """The level it is logged at."""
        return logging.DEBUG

    def as_dict(self) -> dict[str, object]:
        """The fields, and the name as "event"."""
        return {"event": self.name, **{f.name: getattr(self, f.name) for f in fields(self)}}


OnEvent = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class RequestEvent(Event):
    """One attempt at an operation ended, in success or failure.

    ``seconds`` is the time it took, waiting for the rate budget not included. ``status`` and
    ``request_id`` (the ``cf-ray``) come from an HTTP answer, ``error`` is the name of an exception
    class.
    """

    name: ClassVar[str] = "request"
    operation: str
    index: str | None
    attempt: int
    seconds: float
    status: int | None = None
    request_id: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class RetryEvent(Event):
    """An attempt failed, and another one follows in ``delay`` seconds."""

    name: ClassVar[str] = "retry"
    operation: str
    index: str | None
    attempt: int
    delay: float
    error: str
    status: int | None = None
    code: int | None = None
    request_id: str | None = None

    @property
    def level(self) -> int:
        """Who waits for long wants to know why."""
        return logging.WARNING if self.delay >= LONG else logging.INFO


@dataclass(frozen=True, slots=True)
class BatchEvent(Event):
    """A request of a write ended: ``written`` of its ``records`` were accepted, all or none.

    ``seconds`` includes waits and repetitions.
    """

    name: ClassVar[str] = "batch"
    index: str
    records: int
    written: int
    seconds: float
    mutation_id: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class WaitEvent(Event):
    """A wait for a write ended, after ``polls`` looks at the index."""

    name: ClassVar[str] = "wait"
    index: str
    goal: Literal["processed", "visible"]
    seconds: float
    polls: int
    mutation_id: str | None
    outcome: Literal["seen", "timeout", "error"]


class Events:
    """Tells events to the ``vectorize_core`` logger, then to ``on_event``.

    A log record has the event as a dict in its attribute ``vectorize``. ``on_event`` is called in
    the thread or task where the event happens, so it should be quick. What it raises is logged,
    once, and harms nothing.
    """

    def __init__(self, on_event: OnEvent | None = None) -> None:
        self._on_event = on_event
        self._failed = False

    @property
    def heard(self) -> bool:
        """Whether anybody is told of every event."""
        return self._on_event is not None or logger.isEnabledFor(logging.DEBUG)

    def emit(self, event: Event) -> None:
        """Tell ``event``."""
        if logger.isEnabledFor(event.level):
            said = event.as_dict()
            text = " ".join(f"{name}={value}" for name, value in said.items() if value is not None)
            logger.log(event.level, "%s", text, extra={"vectorize": said})
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception:
            if not self._failed:
                self._failed = True
                logger.exception("on_event failed on %s events; said once", event.name)
