"""Contenders that take turns, so that what else the machine does falls on all of them alike."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import mean, median
from typing import Any

from benchmarks.engine.results import Timing

_SLOW, _FEW = 0.5, 5
"""Who takes more seconds than this has its turn in so many rounds, the first ones."""


@dataclass(slots=True)
class _Contender:
    call: Callable[[], Any]
    recall: float | None
    times: list[float] = field(default_factory=list)
    computed: list[float] = field(default_factory=list)

    def p99(self) -> float:
        return sorted(self.times)[min(len(self.times) - 1, round(len(self.times) * 0.99))]


class Rounds:
    """Contenders by name; the first one is what the others are compared with."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._contenders: dict[str, _Contender] = {}

    def add(self, name: str, call: Callable[[], Any], recall: float | None = None) -> None:
        """A contender; its first call is not counted."""
        call()
        self._contenders[name] = _Contender(call, recall)

    def run(self, rounds: int) -> None:
        """Let all of them have ``rounds`` turns, each time in another order, and print a table."""
        gc.collect()
        order = random.Random(0)
        for number in range(rounds):
            all_of_them = self._contenders.values()
            taking = [its for its in all_of_them if number < _FEW or median(its.times) < _SLOW]
            # In a fixed order, one would always come after the one that leaves most behind.
            for contender in order.sample(taking, len(taking)):
                start, computed = time.perf_counter(), time.process_time()
                contender.call()
                contender.times.append(time.perf_counter() - start)
                contender.computed.append(time.process_time() - computed)
        self._show()

    def ratio(self, name: str, beside: str | None = None) -> float:
        """How many times as long ``name`` takes: the median of the ratios of each round."""
        return _ratio(self._contenders[name].times, self._beside(beside).times)

    def ratio_of_means(self, name: str) -> float:
        """The same of the means, in which what is seldom done counts too."""
        return mean(self._contenders[name].times) / mean(self._beside(None).times)

    def seconds(self, name: str) -> float:
        """The median."""
        return median(self._contenders[name].times)

    def p99(self, name: str) -> float:
        """The 99th percentile, in seconds."""
        return self._contenders[name].p99()

    def timings(self) -> list[Timing]:
        """What was measured, in milliseconds."""
        first = self._beside(None)
        return [
            Timing(
                name,
                ms=median(its.times) * 1e3,
                best=min(its.times) * 1e3,
                p99=its.p99() * 1e3,
                cpu=median(its.computed) * 1e3,
                ratio=_ratio(its.times, first.times),
                cpu_ratio=_ratio(its.computed, first.computed),
                recall=its.recall,
            )
            for name, its in self._contenders.items()
        ]

    def _beside(self, name: str | None) -> _Contender:
        return self._contenders[next(iter(self._contenders)) if name is None else name]

    def _show(self) -> None:
        print(f"\n{self.title}")
        print(f"  {'':<36}{'ms':>9}{'best':>9}{'p99':>9}{'CPU':>9}{'ratio':>10}{'of CPU':>10}")
        for its in self.timings():
            cells = f"{its.ms:9.2f}{its.best:9.2f}{its.p99:9.2f}{its.cpu:9.2f}"
            recall = "" if its.recall is None else f"  recall {its.recall:.3f}"
            line = f"  {its.name:<36}{cells}{its.ratio:10.3f}{its.cpu_ratio:10.3f}{recall}"
            print(line, flush=True)


def _ratio(times: list[float], beside: list[float]) -> float:
    # The clock of the processors' time may be so coarse that it shows nothing.
    return median(a / max(b, 1e-9) for a, b in zip(times, beside, strict=False))
