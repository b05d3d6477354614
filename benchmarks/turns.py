"""Contenders that take turns, so that what else the machine does falls on all of them alike.

A figure is the median of the rounds, a ratio the median of the ratios of each round.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from benchmarks.loopback import Server

_SAMPLE = 0.002
"""Seconds between two looks at how late an event loop is."""


class Turn(NamedTuple):
    """Seconds for each thing done: the caller waiting, this process computing."""

    wall: float
    cpu: float


class Look(NamedTuple):
    """A look at an event loop: by how many seconds it came late, and computed since the last."""

    late: float
    computed: float


@dataclass(slots=True)
class Contender:
    """Does ``call`` with ``each`` of its items a turn; its seconds are compared with ``beside``."""

    name: str
    call: Callable[[Any], Any]
    items: Sequence[Any]
    each: int = 1
    beside: Contender | None = None
    rounds: int | None = None
    """In how many rounds it takes its turn, if not in all."""
    turns: list[Turn] = field(default_factory=list)
    line_bytes: float = 0.0
    """Bytes on the wire for each vector written."""
    looks: list[Look] | None = None
    """Looks at the event loop meanwhile, where they are wanted: they take time themselves."""

    def next_items(self) -> Sequence[Any]:
        """The items of the next turn."""
        start = len(self.turns) * self.each % (len(self.items) - self.each + 1)
        return self.items[start : start + self.each]

    def median(self) -> Turn:
        """Of all rounds."""
        return _median(self.turns)

    def ratio(self) -> Turn:
        """How many times the seconds of ``beside``, in the rounds that both had."""
        assert self.beside is not None
        pairs = zip(self.turns, self.beside.turns, strict=False)
        return _median([Turn(its.wall / other.wall, its.cpu / other.cpu) for its, other in pairs])


def _median(turns: list[Turn]) -> Turn:
    return Turn(median(turn.wall for turn in turns), median(turn.cpu for turn in turns))


Drive = Callable[[Contender, int], list[float]]
"""A turn, so many calls at once: the seconds of each, or of all divided among them."""


def in_this_thread(contender: Contender, at_once: int) -> list[float]:
    """The turn of a plain function; several calls at once are in threads."""
    items, seconds = contender.next_items(), []
    started = time.perf_counter()
    if at_once > 1:
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(contender.call, items))
        return _divided(started, items)
    for item in items:
        before = time.perf_counter()
        contender.call(item)
        seconds.append(time.perf_counter() - before)
    return seconds


async def in_event_loop(contender: Contender, at_once: int) -> list[float]:
    """The turn of a coroutine function; several calls at once are in tasks."""
    items, seconds = contender.next_items(), []

    async def timed(item: Any) -> None:
        before = time.perf_counter()
        await contender.call(item)
        seconds.append(time.perf_counter() - before)

    looking = None if contender.looks is None else asyncio.create_task(_look(contender.looks))
    started = time.perf_counter()
    await in_tasks(timed, items, at_once)
    divided = _divided(started, items)
    if looking is not None:
        looking.cancel()
    return seconds if at_once == 1 else divided


def _divided(started: float, items: Sequence[Any]) -> list[float]:
    return [(time.perf_counter() - started) / len(items)] * len(items)


async def _look(looks: list[Look]) -> None:
    while True:
        before, computed = time.perf_counter(), time.thread_time()
        await asyncio.sleep(_SAMPLE)
        late = time.perf_counter() - before - _SAMPLE
        looks.append(Look(late, time.thread_time() - computed))


async def in_tasks(call: Callable[[Any], Any], items: Sequence[Any], at_once: int) -> None:
    """Await ``call`` of every item, so many at once."""
    remaining = iter(items)

    async def work() -> None:
        for item in remaining:
            await call(item)

    await asyncio.gather(*(work() for _ in range(at_once)))


def take_turns(
    contenders: list[Contender], drive: Drive, server: Server, *, rounds: int, at_once: int = 1
) -> None:
    """Every round each contender has its turn, each time in another order."""
    # What is there already need not be looked at again by every collection in between.
    gc.collect()
    gc.freeze()
    for number in range(rounds):
        taking = [
            contender
            for contender in contenders
            if contender.rounds is None or number < contender.rounds
        ]
        shift = number % len(taking)
        for contender in taking[shift:] + taking[:shift]:
            gc.collect()
            before, cpu = server.counts(), time.process_time()
            seconds = drive(contender, at_once)
            cpu = time.process_time() - cpu
            after = server.counts()
            contender.turns.append(Turn(median(seconds), cpu / len(seconds)))
            sent = after.body_bytes - before.body_bytes
            contender.line_bytes = sent / max(after.lines - before.lines, 1)
    gc.unfreeze()


def print_table(title: str, contenders: list[Contender], unit: str) -> None:
    """A line for each contender; ``unit`` is "s" or "ms"."""
    print(f"\n{title:<42}{'wall':>9}{'cpu':>9} {unit:<2}", "       ratio: wall   cpu")
    factor = 1e3 if unit == "ms" else 1.0
    for contender in contenders:
        wall, cpu = contender.median()
        line = f"  {contender.name:<40}{wall * factor:>9.3f}{cpu * factor:>9.3f}"
        if contender.beside is not None:
            ratio = contender.ratio()
            line = f"{line:<74}{ratio.wall:6.2f}{ratio.cpu:6.2f}  to {contender.beside.name}"
        print(line)


def print_writes(contenders: list[Contender]) -> None:
    """What writes put on the wire, and how late they make an event loop."""
    for contender in contenders:
        line = f"    {contender.name:<38}"
        if contender.line_bytes:
            line += f"{contender.line_bytes:9,.0f} bytes a vector"
        if contender.looks:
            (late, computed), (most, _) = np.percentile(contender.looks, [99, 100], axis=0) * 1e3
            line += f"   event loop late: p99 {late:6.1f} ms (computing {computed:5.1f})"
            line += f", most {most:6.1f} ms"
        print(line)


class Goal(NamedTuple):
    """What was reached, and what was aimed at: no more than ``limit``."""

    name: str
    figure: float
    limit: float
    unit: str

    def __str__(self) -> str:
        verdict = "met" if self.figure <= self.limit else "missed"
        return f"  {verdict:<6} {self.figure:7.2f} {self.unit:<2} (<= {self.limit:g})  {self.name}"


def load() -> str:
    """How busy the machine is, where it says."""
    if not hasattr(os, "getloadavg"):
        return ""
    return f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"
