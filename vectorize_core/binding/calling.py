"""One call of a binding's method: awaited for a time, and its failure made an error of ours."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Callable
from typing import Any, Final, NoReturn

from vectorize_core.api.operations import Kind, Op
from vectorize_core.errors import ConfigurationError, RequestTimeoutError, VectorizeError, shown
from vectorize_core.transport.executor import TIME_LEFT

_SECONDS: Final[dict[Kind, float]] = {"read": 10.0, "write": 60.0, "control": 60.0}
"""As over REST."""


class Calling:
    """How the methods of one binding are called."""

    def __init__(
        self,
        error_of: Callable[[Op[Any], Exception], VectorizeError],
        timeout: float | None = None,
    ) -> None:
        if timeout is not None and (
            isinstance(timeout, bool)
            or not isinstance(timeout, (int, float))
            or not 0 < timeout < math.inf
        ):
            raise ConfigurationError(
                f"timeout is a number of seconds, more than 0; got {shown(timeout)}"
            )
        self._error_of = error_of
        self._timeout = timeout

    async def answer(self, op: Op[Any], call: Callable[[], Any]) -> Any:
        """What ``call()`` promises, or its error."""
        seconds = self._timeout if self._timeout is not None else _SECONDS[op.kind]
        left = TIME_LEFT.get()
        seconds = seconds if left is None else min(left, seconds)
        timer = asyncio.timeout(seconds)
        try:
            async with timer:
                promised = call()
                return await promised if inspect.isawaitable(promised) else promised
        except Exception as thrown:
            if timer.expired():
                raise RequestTimeoutError(
                    f"{op}: no answer of the binding within {seconds:.1f} s"
                ) from None
            # The proxy of what was thrown must not outlive the call: JavaScript may have freed it.
            error = self._error_of(op, thrown)
        raise error


def refuse_sync(op: Op[Any]) -> NoReturn:
    """Raise that a binding has no sync calls."""
    raise ConfigurationError(
        f"{op}: the binding of a Worker can only be awaited. Use AsyncVectorizeClient, or the "
        "store's async methods, such as await store.aadd_texts(...) or await store.aquery(...)"
    )
