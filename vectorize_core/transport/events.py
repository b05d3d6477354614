"""What happens on a connection, for logs, metrics and traces: no content, no secrets."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import ClassVar, Literal, Self

logger = logging.getLogger("vectorize_core")
LONG = 10.0
"""Seconds of waiting that are worth a warning."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened on a connection; ``name`` is its kind."""

    name: ClassVar[str]

    @property
    def level(self) -> int:
        """The level it is logged at."""
        return logging.DEBUG

    def as_dict(self) -> dict[str, object]:
        """The fields, and ``name`` as "event"."""
        return {"event": self.name, **{f.name: getattr(self, f.name) for f in fields(self)}}


OnEvent = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class RequestEvent(Event):
    """One attempt at an operation ended, in success or failure.

    ``seconds`` is the time it took, without waits for the rate limit. ``status`` and
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
        """A long delay is a warning: the user should know what the program waits for."""
        return logging.WARNING if self.delay >= LONG else logging.INFO


@dataclass(frozen=True, slots=True)
class BatchEvent(Event):
    """A request of a write ended: ``written`` of its ``records`` were accepted, all or none.

    ``seconds`` includes waits and retries.
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
    """A wait for a write ended, after the index was polled ``polls`` times."""

    name: ClassVar[str] = "wait"
    index: str
    goal: Literal["processed", "visible"]
    seconds: float
    polls: int
    mutation_id: str | None
    outcome: Literal["seen", "timeout", "error"]


class Events:
    """Passes events to the ``vectorize_core`` logger, then to ``on_event``.

    A log record has the event as a dict in its attribute ``vectorize``. ``on_event`` is called in
    the thread or task where the event happens, so it should be quick. Its first error is logged;
    none of them is raised.
    """

    def __init__(self, on_event: OnEvent | None = None) -> None:
        self._on_event = on_event
        self._failed = False

    def also(self, on_event: OnEvent) -> Self:
        """These events, which ``on_event`` is told of as well, after whoever is told already."""
        known = self._on_event

        def tell(event: Event) -> None:
            if known is not None:
                known(event)
            on_event(event)

        return type(self)(tell)

    @property
    def heard(self) -> bool:
        """Whether events of every level are logged or passed on."""
        return self._on_event is not None or logger.isEnabledFor(logging.DEBUG)

    def emit(self, event: Event) -> None:
        """Log ``event`` and pass it on."""
        if logger.isEnabledFor(event.level):
            as_dict = event.as_dict()
            text = " ".join(f"{key}={value}" for key, value in as_dict.items() if value is not None)
            logger.log(event.level, "%s", text, extra={"vectorize": as_dict})
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception:
            if not self._failed:
                self._failed = True
                logger.exception("on_event failed on a %s event; logged once", event.name)
