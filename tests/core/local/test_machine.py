"""Whatever is done in whatever order, reads show what a naive reference shows."""

import math
import shutil
import tempfile
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.nightly import examples
from vectorize_core import scoring
from vectorize_core.local import Behavior, Service, ServiceFault
from vectorize_core.models import METRICS, IndexConfig, Vector

DIMENSIONS = 32
NAMES = [f"v{n}" for n in range(12)]
TYPES = {"n": "number", "s": "string", "b": "boolean"}
NAMESPACES = [None, "one", "two"]
LONG = "x" * 64

ids = st.lists(st.sampled_from(NAMES), min_size=1, max_size=8)
metadata = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {},
        optional={
            "n": st.sampled_from([-1, 0, 0.5, 3, 10**6]),
            "s": st.sampled_from(["", "a", "b", "é", LONG, LONG + "y", LONG + "z"]),
            "b": st.booleans(),
        },
    ),
)
conditions = st.one_of(
    st.tuples(
        st.just("n"), st.sampled_from(["$eq", "$ne", "$lt", "$gte"]), st.sampled_from([0, 3])
    ),
    st.tuples(st.just("s"), st.sampled_from(["$eq", "$ne", "$gt"]), st.sampled_from(["a", LONG])),
    st.tuples(st.just("b"), st.sampled_from(["$eq", "$ne"]), st.booleans()),
)
OPERATORS = {
    "$eq": lambda a, b: a == b,
    "$lt": lambda a, b: a < b,
    "$gt": lambda a, b: a > b,
    "$gte": lambda a, b: a >= b,
}


@dataclass
class Held:
    """A vector of the reference, and the number and time of the mutation it is from."""

    vector: Vector
    number: int
    processed: float


@dataclass
class Reference:
    """One index as plain Python: everything in dicts and lists, everything looked at each time."""

    metric: str
    ties: str
    seen: dict[str, Held] = field(default_factory=dict)
    waiting: list[tuple] = field(default_factory=list)
    properties: dict[str, list[tuple[int, float, float]]] = field(default_factory=dict)
    """When metadata indexes were asked for (number), are live and gone."""

    def advance(self, now):
        while self.waiting and self.waiting[0][0] <= now:
            _, kind, records, number, processed = self.waiting.pop(0)
            for vector in records:
                if kind == "delete":
                    self.seen.pop(vector.id, None)
                elif kind == "upsert" or vector.id not in self.seen:
                    self.seen[vector.id] = Held(vector, number, processed)

    def live(self, name, now):
        for number, live, gone in self.properties.get(name, ()):
            if live <= now < gone:
                return number, live
        return None

    def indexed(self, held, name, now):
        live = self.live(name, now)
        if live is None or (held.processed, held.number) <= (live[1], live[0]):
            return None
        value = (held.vector.metadata or {}).get(name)
        return value[:64] if name == "s" and value is not None and value.isascii() else value

    def query(self, ask, k, namespace, wanted, now):
        chosen = []
        for held in self.seen.values():
            if namespace is not None and held.vector.namespace != namespace:
                continue
            if all(self.meets(held, *condition, now) for condition in wanted):
                chosen.append(held.vector)
        if not chosen:
            return []
        scores = scoring.shortest(
            scoring.scores(self.metric, np.stack([v.values for v in chosen]), ask)
        )
        sign = -1 if self.metric == "cosine" else 1
        order = sorted(
            range(len(chosen)),
            key=lambda i: (sign * scores[i], i if self.ties == "oldest" else -i),
        )
        return [(chosen[i].id, scores[i]) for i in order[:k]]

    def meets(self, held, name, operator, operand, now):
        value = self.indexed(held, name, now)
        if operator == "$ne":
            return value is None or value != operand
        return value is not None and OPERATORS[operator](value, operand)


class Machine(RuleBasedStateMachine):
    """The embedded Vectorize beside the reference, in a directory that is reopened."""

    in_memory = False

    @initialize(
        metric=st.sampled_from(METRICS),
        ties=st.sampled_from(["oldest", "newest"]),
        delays=st.sampled_from(
            [(0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (5.0, 3.0, 4.0), (0.0, 2.0, 9.0)]
        ),
    )
    def begin(self, metric, ties, delays):
        self.directory = tempfile.mkdtemp()
        self.now = 1_800_000_000.0
        process, propagate, index = delays
        self.delays = delays
        self.behavior = Behavior(
            process_delay=process, propagate_delay=propagate, metadata_index_delay=index, ties=ties
        )
        self.service = self.open()
        self.metric, self.ties = metric, ties
        self.number = 0
        self.listing = None
        self.create()

    def open(self):
        path = ":memory:" if self.in_memory else self.directory
        return Service(path, behavior=self.behavior, clock=lambda: self.now)

    def create(self):
        self.service.create_index("docs", IndexConfig(DIMENSIONS, self.metric))
        self.reference = Reference(self.metric, self.ties)
        self.last = (self.now, self.now)

    def accept(self, kind, records):
        self.number += 1
        processed = max(self.now + self.delays[0], self.last[0])
        visible = max(processed + self.delays[1], self.last[1])
        self.last = processed, visible
        self.reference.waiting.append((visible, kind, records, self.number, processed))
        self.reference.advance(self.now)

    def vectors(self, names, data):
        # Few values, so that there are ties and equal vectors.
        return [
            Vector(
                name,
                np.full(DIMENSIONS, 0.0) + np.eye(DIMENSIONS)[seed % 3] * (seed % 4),
                namespace,
                more,
            )
            for name, (seed, namespace, more) in zip(names, data, strict=True)
        ]

    @rule(kind=st.sampled_from(["insert", "upsert", "upsert"]), data=st.data(), names=ids)
    def put(self, kind, names, data):
        some = st.tuples(st.integers(0, 12), st.sampled_from(NAMESPACES), metadata)
        drawn = data.draw(st.lists(some, min_size=len(names), max_size=len(names)))
        given = self.vectors(names, drawn)
        getattr(self.service, kind)("docs", given)
        self.accept(kind, given)

    @rule(names=ids)
    def delete(self, names):
        self.service.delete_by_ids("docs", names)
        self.accept("delete", [Vector(name, np.zeros(1)) for name in names])

    @rule(name=st.sampled_from(sorted(TYPES)))
    def index(self, name):
        spans = self.reference.properties.setdefault(name, [])
        if spans and spans[-1][2] == math.inf:
            with pytest.raises(ServiceFault):
                self.service.create_metadata_index("docs", name, TYPES[name])
            return
        self.service.create_metadata_index("docs", name, TYPES[name])
        self.accept("none", [])
        live = self.now + self.delays[2]
        if spans:
            live = max(live, *(gone for *_, gone in spans))
        spans.append((self.number, live, math.inf))

    @rule(name=st.sampled_from(sorted(TYPES)))
    def unindex(self, name):
        spans = self.reference.properties.get(name, [])
        if not spans or spans[-1][2] != math.inf:
            return
        self.service.delete_metadata_index("docs", name)
        self.accept("none", [])
        spans[-1] = (*spans[-1][:2], self.now + self.delays[2])

    @rule(seconds=st.sampled_from([0.5, 3.0, 20.0]))
    def wait(self, seconds):
        self.now += seconds
        self.reference.advance(self.now)

    @rule()
    def compact(self):
        self.service.compact("docs")

    @rule()
    def reopen(self):
        if not self.in_memory:
            self.service.close()
            self.service = self.open()
            self.listing = None

    @rule()
    def recreate(self):
        self.service.delete_index("docs")
        self.listing = None
        self.create()

    @rule(count=st.integers(1, 4))
    def begin_listing(self, count):
        page = self.service.list_vectors("docs", count=count)
        expected = list(self.reference.seen)
        assert list(page.ids) == expected[:count]
        self.listing = (page.next_cursor, expected, count) if page.next_cursor else None

    @precondition(lambda self: self.listing is not None)
    @rule(count=st.integers(1, 4))
    def go_on_listing(self, count):
        cursor, expected, offset = self.listing
        page = self.service.list_vectors("docs", count=count, cursor=cursor)
        assert list(page.ids) == expected[offset : offset + count]
        assert page.total_count == len(expected)
        more = page.next_cursor
        self.listing = (more, expected, offset + count) if more else None

    @rule(
        seed=st.integers(0, 11),
        k=st.sampled_from([1, 3, 50]),
        namespace=st.sampled_from(NAMESPACES),
        wanted=st.lists(conditions, max_size=2, unique_by=lambda c: c[0]),
        of=st.sampled_from(["vector", "id"]),
        name=st.sampled_from(NAMES),
    )
    def query(self, seed, k, namespace, wanted, of, name):
        ask = np.float32(np.eye(DIMENSIONS)[seed % 3] * (seed % 4) + 0.25)
        target = {"vector": ask}
        if of == "id":
            held = self.reference.seen.get(name)
            target, ask = {"vector_id": name}, None if held is None else held.vector.values
        found = self.service.query(
            "docs",
            **target,
            top_k=k,
            namespace=namespace,
            filter={p: {operator: operand} for p, operator, operand in wanted} or None,
            return_metadata="all",
        )
        expected = []
        if ask is not None:
            expected = self.reference.query(ask, k, namespace, wanted, self.now)
        assert [(match.id, match.score) for match in found.matches] == expected
        for match in found.matches:
            vector = self.reference.seen[match.id].vector
            assert (match.metadata, match.namespace) == (vector.metadata or None, vector.namespace)

    @invariant()
    def reads_agree(self):
        if not hasattr(self, "service"):
            return
        seen = self.reference.seen
        assert list(self.service.list_vectors("docs", count=100).ids) == list(seen)
        ask = np.eye(DIMENSIONS, dtype=np.float32)[1] + np.float32(0.5)
        found = self.service.query("docs", vector=ask, top_k=50)
        expected = self.reference.query(ask, 50, None, [], self.now)
        assert [(match.id, match.score) for match in found.matches] == expected
        got = self.service.get_by_ids("docs", NAMES)
        assert [vector.id for vector in got] == [name for name in NAMES if name in seen]
        for vector in got:
            expected = seen[vector.id].vector
            assert (vector.values == expected.values).all()
            assert vector.metadata == (expected.metadata or None)
            assert vector.namespace == expected.namespace
        live = {name for name in TYPES if self.reference.live(name, self.now)}
        listed = self.service.list_metadata_indexes("docs")
        assert {item.property_name for item in listed} == live

    def teardown(self):
        if hasattr(self, "service"):
            assert self.service.check().findings == ()
            self.service.close()
            shutil.rmtree(self.directory)


class InMemory(Machine):
    """The same, with values in memory."""

    in_memory = True


TestDirectory = Machine.TestCase
TestDirectory.settings = settings(examples(12), stateful_step_count=30)
TestMemory = InMemory.TestCase
TestMemory.settings = settings(examples(15), stateful_step_count=30)
