"""Random interleavings of clients: no wait is ever too early, and none goes on for ever."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal

import pytest

from tests.core.helpers import ASYNC, SYNC, Variant
from tests.core.state.waits import Client, World, record
from tests.nightly import sized
from vectorize_core.api.operations import Op
from vectorize_core.errors import WaitTimeoutError
from vectorize_core.models import Mutation
from vectorize_core.transport.io import run
from vectorize_core.writes import writing

Kind = Literal["alone", "disjoint", "same", "equal"]
TIMEOUT = 120.0
DELAYS = [(0.0, 0.0), (0.0, 3.0), (0.3, 0.0), (0.3, 0.2), (8.0, 0.0), (8.0, 3.0), (30.0, 9.0)]
IDS = [f"id{i}" for i in range(7)]
VERBS = ["upsert", "upsert", "upsert", "delete", "insert"]


@dataclass
class Writer:
    """Random writes of one client; ``number`` gives what is in their records."""

    client: Client
    ids: Sequence[str]
    verbs: Sequence[str]
    number: Callable[[], int]
    random: random.Random

    def draw(self) -> tuple[str, list[str]]:
        names = self.random.sample(self.ids, self.random.randint(1, 4))
        return self.random.choice(self.verbs), names

    def flow(self, verb: str, names: Sequence[str], **options: Any) -> Any:
        io, state = self.client.io, self.client.state
        if verb == "delete":
            return writing.delete(io, state, names, concurrency=1, **options)
        number = self.number()
        vectors = [record(name, number) for name in names]
        # More records than probes now and then, and more batches than one.
        options |= {"batch_size": self.random.choice([2, 10]), "concurrency": 1}
        return getattr(writing, verb)(io, state, vectors, **options)


class Schedule:
    """A client that waits for its writes, while another and a second thread of it write too.

    ``alone``: without that thread. ``disjoint``: the clients have ids of their own. ``same``: they
    share ids. ``equal``: and what they write at the same time is the same.
    """

    def __init__(self, seed: int, variant: Variant, kind: Kind) -> None:
        self.kind = kind
        self.random = rng = random.Random(seed)
        self.world = World(variant)
        self.delays = rng.choice(DELAYS)
        self.world.behave(process_delay=self.delays[0], propagate_delay=self.delays[1])
        self.step = 0
        number = count(1).__next__ if kind != "equal" else (lambda: self.step)
        # What another client deletes too is known by its processing only.
        verbs = VERBS if kind != "equal" else ["upsert"]
        shared = kind in ("same", "equal")
        theirs = IDS if shared else [f"{name} of another" for name in IDS]
        client = self.world.client()
        self.mine = Writer(client, IDS, verbs, number, rng)
        other = Writer(self.world.client(SYNC), theirs, verbs, number, rng)
        thread = Writer(Client.beside(client), IDS, verbs, number, rng)
        self.others = [other] if kind == "alone" else [other, thread]
        self.often = rng.choice([0.0, 0.1, 0.5])
        self.busy = False
        client.executor.before = client.executor.after = self.disturb

    def disturb(self, _: Op[Any]) -> None:
        if not self.busy and self.random.random() < self.often:
            self.busy = True
            writer = self.random.choice(self.others)
            verb, names = writer.draw()
            in_flight = writer.client.state.in_flight
            # What is on its way the other thread would wait for, and there is but one here.
            if in_flight.take(self, names):
                in_flight.release(self, names)
                run(writer.flow(verb, names))
            self.busy = False

    def assert_not_early(
        self, verb: str, names: Sequence[str], mutations: Sequence[Mutation], goal: str
    ) -> None:
        if self.kind == "same" and verb != "upsert":
            # That something is there or gone may be another client's doing, and is as good.
            if goal == "processed" and self.world.fates(mutations) <= {"processed", "visible"}:
                return
            goal = "present" if verb == "insert" else "visible"
        self.world.assert_not_early(mutations, names, goal)

    async def run(self) -> None:
        unseen: list[tuple[str, Sequence[str], tuple[Mutation, ...]]] = []
        for self.step in range(1, 8):
            verb, names = self.mine.draw()
            wait = self.random.choice([False, False, "processed", "visible", "visible"])
            own = self.random.random() < 0.2
            start, client = self.world.now, self.mine.client
            self.context = f"{self.kind}, {self.delays}: {verb} {names} until {wait}"
            try:
                if own:
                    self.context = f"{self.kind}, {self.delays}: own writes"
                    await client.wait(TIMEOUT)
                    for write in unseen:
                        self.assert_not_early(*write, "visible")
                    unseen.clear()
                else:
                    flow = self.mine.flow(verb, names, wait=wait, wait_timeout=TIMEOUT)
                    mutations = await client.run(flow)
                    if not wait:
                        unseen.append((verb, names, mutations))
                    else:
                        self.assert_not_early(verb, names, mutations, str(wait))
                    if wait and self.kind == "alone" and verb == "upsert":
                        assert self.world.now <= self.world.seen_at(mutations[-1]) + 5.1
            except WaitTimeoutError:
                # For what only the other client's silence could tell.
                assert self.kind in ("same", "equal"), "took too long"
                assert self.world.now <= start + TIMEOUT + 0.1
            self.world.pass_time(self.random.choice([0.0, 0.1, 1.0, 40.0]))


@pytest.mark.parametrize("variant", [SYNC, ASYNC], ids=lambda variant: variant.name)
@pytest.mark.parametrize("kind", ["alone", "disjoint", "same", "equal"])
@pytest.mark.parametrize("part", range(sized(1, 6)))
async def test_no_wait_is_early_and_none_goes_on_for_ever(
    variant: Variant, kind: Kind, part: int
) -> None:
    many = sized(6, 12) if variant is SYNC else sized(2, 4)
    for seed in range(part * many, part * many + many):
        schedule = Schedule(seed, variant, kind)
        try:
            await schedule.run()
        except Exception as error:
            error.add_note(f"seed {seed}, {schedule.context}")
            raise
        finally:
            schedule.world.close()
