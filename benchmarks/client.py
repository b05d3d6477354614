"""Our clients beside the loop one writes by hand and langchain-cloudflare, over HTTPS on loopback.

``python -m benchmarks.client [--quick] [--server real]`` adds 10,000 texts of about 300 characters
(384 dimensions) and searches (k=10, with metadata), one by one and 16 at once, sync and async, with
a round trip of 0 and of 30 ms; a new connection takes two round trips more. Async, it also starts
800 searches at once, beside 800 that start 32 at a time. All in one run and in turns. "wall" is
what the caller waits for, "cpu" what this process computes meanwhile. The server computes in
another, next to nothing; the local server (``--server real``) is always 0 ms away.

All clients verify the server's certificate, with certifi's certificates and the run's own, which
they find by SSL_CERT_FILE and REQUESTS_CA_BUNDLE: as much to load as without either. The embedding
model looks its vectors up. langchain-cloudflare works without D1: with it, it would send one more
request for each text; without it, the texts are lost, which makes its vectors small.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from benchmarks.clients import ByHand, LangchainCloudflare, Ours, Work
from benchmarks.loopback import Server
from benchmarks.turns import (
    Contender,
    Goal,
    in_event_loop,
    in_tasks,
    in_this_thread,
    load,
    print_table,
    print_writes,
    take_turns,
)
from vectorize_core.writes.writing import DEFAULT_CONCURRENCY

AT_ONCE = 16
BURST = 800
OTHER = "langchain-cloudflare"


class Plan(NamedTuple):
    """Rounds of adds; rounds of searches, and searches in each.

    One by one, langchain-cloudflare searches once a round.
    """

    adds: int
    one_by_one: tuple[int, int]
    at_once: tuple[int, int]


FULL = {0.0: Plan(5, (100, 5), (5, 100)), 0.03: Plan(3, (20, 5), (5, 100))}
QUICK = {0.0: Plan(3, (30, 5), (2, 64)), 0.03: Plan(1, (4, 5), (1, 64))}


class Comparison:
    """The sync clients with one server, or with a ``runner`` the async ones."""

    def __init__(
        self, server: Server, work: Work, plan: Plan, runner: asyncio.Runner | None
    ) -> None:
        self.goals: list[Goal] = []
        self._server, self._work, self._plan, self._runner = server, work, plan, runner
        self._by_hand = ByHand(server, work)
        self._ours = Ours(server, work)
        self._other = LangchainCloudflare(server, work)
        variant = "sync" if runner is None else "async"
        self._where = f"{variant}, {server.round_trip * 1e3:.0f} ms"

    def run(self) -> list[Goal]:
        """Print the tables."""
        rounds, each = self._plan.one_by_one
        self._search("one by one", rounds, each, 1, at_once=1)
        rounds, each = self._plan.at_once
        self._search(f"{AT_ONCE} at once", rounds, each, AT_ONCE, at_once=AT_ONCE)
        if self._runner is not None:
            self._burst()
        self._add()
        return self.goals

    def _search(self, how: str, rounds: int, each: int, slow: int, *, at_once: int) -> None:
        rows, texts = list(self._work.rows), self._work.texts
        by_hand = Contender("by hand", self._method(self._by_hand, "search"), rows, each)
        index = Contender("Index.query", self._method(self._ours, "query"), rows, each, by_hand)
        search = self._method(self._ours, "search")
        store = Contender("store.similarity_search", search, texts, each, by_hand)
        other = Contender(OTHER, self._method(self._other, "search"), texts, slow, store)
        contenders = [by_hand, index, store, other]
        # A round that does not count: it connects, and asks what is asked only once.
        take_turns(contenders, self._drive, self._server, rounds=1, at_once=at_once)
        for contender in contenders:
            contender.turns.clear()
        take_turns(contenders, self._drive, self._server, rounds=rounds, at_once=at_once)
        title = f"a search, {how}, {self._where}"
        print_table(title, contenders, "ms")
        if at_once == 1:
            self._compare(title, index, 1.15)
            self._compare(title, store, 1.15)

    def _burst(self) -> None:
        """Searches that one ``gather`` starts, beside as many that start 32 at a time."""
        texts = [self._work.texts[:BURST]]
        bounded = Contender("32 at a time", partial(self._searches, 32), texts)
        unbounded = Contender("all by one gather", partial(self._searches, BURST), texts)
        unbounded.beside = bounded
        contenders = [bounded, unbounded]
        for contender in contenders:
            contender.looks = []
        take_turns(contenders, self._drive, self._server, rounds=self._plan.at_once[0])
        title = f"{BURST} searches, {self._where}"
        print_table(title, contenders, "s")
        self._compare(title, unbounded, 1.0)

    async def _searches(self, at_once: int, texts: Sequence[str]) -> None:
        await in_tasks(self._ours.asearch, texts, at_once)

    def _add(self) -> None:
        # Each turn's ids are new, and made before.
        rounds = self._plan.adds
        turns = range(2 * rounds)
        for turn in turns:
            self._work.ids(turn)
        vectors, index = self._beside_by_hand("vectors", "Index.upsert", "upsert", turns[:rounds])
        texts, store = self._beside_by_hand("texts", "store.add_texts", "add_texts", turns[rounds:])
        add = self._method(self._other, "add_texts")
        other = Contender(OTHER, add, turns[rounds:], 1, store, rounds=2)
        contenders = [*vectors, index, *texts, store, other]
        for contender in contenders:
            contender.looks = None if self._runner is None else []
        take_turns(contenders, self._drive, self._server, rounds=rounds)
        title = f"{len(self._work.texts):,} adds, {self._where}"
        print_table(title, contenders, "s")
        print_writes(contenders)
        self._compare(title, store, 1.25)
        for contender in (index, store):
            if contender.looks:
                p99 = float(np.percentile([look.late for look in contender.looks], 99)) * 1e3
                name = f"{title}: event loop late, p99, {contender.name}"
                self.goals.append(Goal(name, p99, 50, "ms"))

    def _beside_by_hand(
        self, what: str, name: str, method: str, turns: Sequence[int]
    ) -> tuple[list[Contender], Contender]:
        by_hand = self._method(self._by_hand, f"add_{what}")
        alone = Contender(f"{what} by hand, one by one", partial(by_hand, 1), turns)
        several = partial(by_hand, DEFAULT_CONCURRENCY)
        beside = Contender(f"{what} by hand, {DEFAULT_CONCURRENCY} at once", several, turns)
        ours = Contender(name, self._method(self._ours, method), turns, 1, beside)
        return [alone, beside], ours

    def _method(self, client: object, name: str) -> Callable[..., Any]:
        found: Callable[..., Any] = getattr(client, name if self._runner is None else f"a{name}")
        return found

    def _drive(self, contender: Contender, at_once: int) -> list[float]:
        if self._runner is None:
            return in_this_thread(contender, at_once)
        return self._runner.run(in_event_loop(contender, at_once))

    def _compare(self, title: str, contender: Contender, limit: float) -> None:
        assert contender.beside is not None
        name = f"{title}: {contender.name} to {contender.beside.name}, by CPU"
        self.goals.append(Goal(name, contender.ratio().cpu, limit, "x"))


def main() -> None:
    """Both round trips, sync and async; then the goals."""
    parser = argparse.ArgumentParser(description="Our clients beside others.")
    parser.add_argument("--quick", action="store_true", help="less of everything")
    parser.add_argument("--server", choices=("cheap", "real"), default="cheap")
    options = parser.parse_args()
    started = time.perf_counter()
    work = Work(2_000 if options.quick else 10_000)
    goals: list[Goal] = []
    plans = QUICK if options.quick else FULL
    for round_trip, plan in plans.items() if options.server == "cheap" else [(0.0, plans[0.0])]:
        with Server(options.server, round_trip=round_trip) as server:
            if options.server == "real":
                Ours(server, work).create_index()
            goals += Comparison(server, work, plan, None).run()
            with asyncio.Runner() as runner:
                goals += Comparison(server, work, plan, runner).run()
    print("\ngoals")
    for goal in goals:
        print(goal)
    print(f"\n{time.perf_counter() - started:.0f} s in all; {load()}")


if __name__ == "__main__":
    main()
