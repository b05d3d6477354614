"""One tenant attacks another, by seed: it learns nothing, and changes nothing."""

from __future__ import annotations

import json
import logging
import random
import re
import time
import warnings
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

from tests.core.texts.kinds import EVERY
from tests.kinds import LANGCHAIN, LLAMA_INDEX, Kind, Row
from tests.nightly import sized
from tests.stores import DIMENSIONS, async_call, sync_call, vector
from vectorize_core import TooManyRequestsNeededError, Vector, VectorizeClient, layout
from vectorize_core.errors import VectorizeError
from vectorize_core.local import Behavior
from vectorize_core.local.server import BackgroundServer, Settings
from vectorize_core.texts.store import list_name, text_name

SECRET = "rosebud"
"""In the texts and metadata of all records of the victim, and in most of their ids."""
COUNT, KNOWN = 73, 20
"""How many records it has, a number that nothing else has; and of how many the ids are known."""
INDEXED: Any = {"owner": "string", "n": "number"}
KEYS = (
    *("owner", "n", "secret", "namespace", "__namespace", "$namespace", "id", "ref_doc_id", "text"),
    *("_vs", "_vs_ref", "_vs_bucket", "_vs_own", "_vs.id", "_node_content"),
)
LONG = f"plugh {SECRET} " * 1_000


def victims(chance: random.Random) -> list[Row]:
    """Records of the victim; some have long texts."""
    made = []
    for n in range(COUNT):
        text = f"plugh {n} {SECRET}" if n % 15 else LONG + str(n)
        row_id = f"xyzzy-{n}" if n < KNOWN else f"{SECRET}-{n}"
        made.append((row_id, text, {"owner": "frotz", "n": n, "secret": [SECRET]}))
    chance.shuffle(made)
    return made


class Attack:
    """What the attacker knows and tries."""

    def __init__(self, chance: random.Random, kind: Kind, victim: str) -> None:
        self.chance = chance
        self.kind = kind
        self.victim = victim
        public = [f"xyzzy-{n}" for n in range(KNOWN)]
        stored = [layout.stored_id(victim, one) for one in public]
        self.ids = [
            *public,
            *stored,
            *(list_name("docs", one) for one in stored[:5]),
            *(text_name("docs", one, LONG + "0") for one in stored[:1]),
            *(
                "mine-0",
                "mine-1",
                "",
                "\ud800",
                f"{victim}/xyzzy-0",
                f"{victim}\0xyzzy-0",
                "é" * 40,
            ),
        ]

    def some_ids(self) -> list[str]:
        return self.chance.sample(self.ids, self.chance.randint(1, 25))

    def value(self) -> Any:
        return self.chance.choice(
            ["frotz", "xyzzy-0", self.victim, "mine", 1, 3.5, True, "plugh 1"]
        )

    def key(self) -> str:
        return self.chance.choice(KEYS)

    def metadata(self) -> dict[str, Any]:
        stored = layout.stored_id(self.victim, "xyzzy-0")
        return {
            self.key(): self.value(),
            "namespace": self.victim,
            "_vs": json.dumps(
                {"v": 1, "id": "xyzzy-0", "x": text_name("docs", stored, LONG + "0")}
            ),
            "_vs_bucket": layout.bucket(stored),
            "_vs_ref": "doc",
            "_node_content": json.dumps({"id_": "xyzzy-0", "text": None}),
        }

    def where(self) -> dict[str, Any]:
        """Options of a call, of which some are not to be taken."""
        options: dict[str, Any] = {}
        if self.chance.random() < 0.3:
            options["unindexed"] = "scan"
        if self.chance.random() < 0.2:
            options["max_requests"] = self.chance.choice([1, 2, 3, 5, 10])
        if self.chance.random() < 0.1:
            options["namespace"] = self.victim
        if self.chance.random() < 0.15:
            native = [{self.key(): self.value()}, {self.key(): {"$ne": True}}, {}]
            options["vectorize_filter"] = self.chance.choice(native)
        return options

    def filter(self) -> Any:
        one = {self.key(): self.value()}
        forms: list[Any] = [
            None,
            one,
            {"$or": [one, {"n": {"$gte": 0}}]},
            {"$not": one},
            {self.key(): {"$exists": self.chance.random() < 0.5}},
        ]
        if self.kind is LANGCHAIN:
            return self.chance.choice([*forms, lambda document: True])
        leaf = MetadataFilter(
            key=self.key(), value=str(self.value()), operator=self.chance.choice([*FilterOperator])
        )
        condition = self.chance.choice([*FilterCondition])
        return self.chance.choice([*forms, MetadataFilters(filters=[leaf], condition=condition)])

    def node(self, node_id: str) -> TextNode:
        made = TextNode.model_construct(
            id_=node_id, text=self.text(), metadata=self.metadata(), embedding=vector(node_id)
        )
        ref = RelatedNodeInfo(node_id=self.chance.choice(["xyzzy-0", "doc"]))
        made.relationships = {NodeRelationship.SOURCE: ref}
        return made

    def text(self) -> str:
        return self.chance.choice(["mine", "mine " * 3_000])

    def call(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        """A method with its arguments."""
        return self.of_langchain() if self.kind is LANGCHAIN else self.of_llama_index()

    def of_langchain(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        chance, ids, where = self.chance, self.some_ids(), self.where()
        k = chance.choice([1, 4, 60, 200])
        near = chance.choice(["plugh 1", "plugh 2", "q"])
        filtered = {"filter": self.filter(), **where}
        texts = [self.text() for _ in ids]
        wait = {"wait": chance.choice([False, True])}
        metadatas = [self.metadata() for _ in ids]
        return chance.choice(
            [
                ("add_texts", (texts, metadatas), {"ids": ids, **wait}),
                ("add_texts", (texts,), {"ids": ids, "namespace": self.victim}),
                ("add_texts", (texts,), {"ids": ids, "dry_run": True}),
                ("add_embeddings", (texts, [vector(i) for i in ids]), {"ids": ids}),
                ("update_documents", ([LANGCHAIN.item((i, "t", {})) for i in ids],), wait),
                ("update_metadata", (ids, self.metadata()), {"replace": chance.random() < 0.5}),
                ("get_by_ids", (ids,), {}),
                ("similarity_search_by_id", (ids[0], k), filtered),
                ("similarity_search", (near, k), filtered),
                ("similarity_search_with_score", (near, k), filtered),
                ("similarity_search_with_relevance_scores", (near, min(k, 60)), where),
                ("similarity_search_by_vector", (vector(near), k), filtered),
                ("max_marginal_relevance_search", (near, min(k, 4)), filtered),
                ("search", (near, "similarity"), {"k": k, **filtered}),
                ("iter_documents", (self.filter(),), where),
                ("iter_ids", (self.filter(),), where),
                ("count", (self.filter(),), where),
                ("explain_filter", (self.filter(), chance.choice([None, 4])), {}),
                ("delete", (ids,), wait),
                ("delete", (), {**filtered, "verify": chance.random() < 0.3}),
                ("delete", (), {"delete_all": True}),
                ("reindex_metadata", (), {}),
                ("index", (), {}),
                ("await_writes", (), {}),
                ("with_namespace", (self.victim,), {}),
            ]
        )

    def of_llama_index(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        chance, ids, where = self.chance, self.some_ids(), self.where()
        near = vector(chance.choice(["plugh 1", "plugh 2", "q"]))
        own = {n: value for n, value in where.items() if n == "namespace"}
        query = VectorStoreQuery(
            query_embedding=chance.choice([near, near, None]),
            query_str=chance.choice([None, "q"]),
            similarity_top_k=chance.choice([1, 4, 60, 200]),
            node_ids=chance.choice([None, ids]),
            doc_ids=chance.choice([None, None, ids, ["doc"]]),
            filters=self.filter(),
            mode=chance.choice([VectorStoreQueryMode.DEFAULT, VectorStoreQueryMode.MMR]),
        )
        docstore = SimpleDocumentStore()
        docstore.set_document_hashes(dict.fromkeys(["doc", *ids], "hash"))
        return chance.choice(
            [
                ("add", ([self.node(i) for i in ids],), own),
                ("add", ([self.node(i) for i in ids],), {"dry_run": True, **own}),
                ("query", (query,), where),
                ("query", (query,), {"strict_node_ids": True, **where}),
                ("query", (query,), {"include_embeddings": True, **where}),
                ("get_nodes", (ids, self.filter()), where),
                ("get_nodes", (None, self.filter()), {"include_embeddings": True, **where}),
                ("iter_nodes", (self.filter(),), where),
                ("count", (self.filter(),), where),
                ("explain_filter", (self.filter(), chance.choice([None, 4])), {}),
                ("delete", (chance.choice([*ids, "doc"]),), own),
                ("delete_many", (ids,), own),
                ("delete_nodes", (ids, self.filter()), own),
                ("delete_nodes", (None, self.filter()), where),
                ("clear", (), {}),
                ("reset", (), {}),
                ("drop", (), {}),
                ("create_metadata_index", (self.key(), "string"), {}),
                ("compare", (docstore,), {"repair": chance.random() < 0.5, **own}),
                ("reindex_metadata", (), {}),
                ("index", (), {}),
                ("await_writes", (), {}),
                ("with_namespace", (self.victim,), {}),
            ]
        )


def told(error: BaseException | None) -> Iterator[str]:
    """All that an error says, with those behind it."""
    while error is not None:
        yield f"{error!r} {error} {vars(error)} {getattr(error, '__notes__', ())}"
        error = error.__cause__ or error.__context__


async def attempt(way: Any, view: Any, name: str, args: Any, options: Any) -> list[str]:
    """All that a call gives away."""
    try:
        if name.startswith("iter"):
            if way is sync_call:
                return [repr([*getattr(view, name)(*args, **options)])]
            return [repr([one async for one in getattr(view, f"a{name}")(*args, **options)])]
        if name == "with_namespace":
            return [repr(view.with_namespace(*args))]
        if name == "index":
            return [repr([*view.index.list_ids()]) if hasattr(view, name) else ""]
        if name == "await_writes":
            return [repr(await view.await_writes())]
        found = await way(view, name, *args, **options)
        return [f"{found!r} {getattr(found, '__dict__', '')} {found}"]
    except (VectorizeError, TypeError, NotImplementedError) as error:
        # By ids it is known how many are needed; all else may depend on others.
        if isinstance(error, TooManyRequestsNeededError) and "reading by" not in str(error):
            needed = error.needed - error.allowed
            return [*told(error), f"needed {needed}" if needed == 1 else SECRET]
        return [*told(error)]


def gives_away(said: str, hidden: list[str]) -> str | None:
    """What of the victim is in words."""
    if re.search(rf"(?<![\w.-]){COUNT}(?![\w.-])", said):
        return f"{COUNT}"
    return next((one for one in hidden if one in said), None)


@pytest.mark.parametrize("seed", range(sized(3, 200)))
async def test_a_tenant_attacks_another(
    seed: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "vectorize_core")
    chance = random.Random(seed)
    kind = (LANGCHAIN, LLAMA_INDEX)[seed % 2]
    place = chance.choice(["memory", "directory", "server"])
    behavior = Behavior(
        process_delay=chance.choice([0.0, 0.0, 0.02]),
        negation_matches_missing=chance.random() < 0.8,
    )
    async with AsyncExitStack() as stack:
        if place == "server":
            server = stack.enter_context(BackgroundServer(Settings(behavior=behavior)))
            client = VectorizeClient(account_id="a", base_url=server.base_url)
        else:
            where = ":memory:" if place == "memory" else str(tmp_path / "data")
            client = VectorizeClient.local(where, behavior=behavior)
        stack.push_async_callback(client.connection.aclose)
        index, made_by_store = client.index("docs"), chance.random() < 0.5
        if not made_by_store:
            client.create_index("docs", dimensions=DIMENSIONS, record_layout=False)
        texts = EVERY[chance.choice(sorted(EVERY))](tmp_path)
        options: Any = {"metadata_indexes": INDEXED} if made_by_store else {}
        # Where waits time out, it is because of the victim's writes.
        hasty = behavior.process_delay > 0
        store = kind.over(client, texts=texts, wait_timeout=0.001 if hasty else 60, **options)
        victim, attacker = store.with_namespace("victim"), store.with_namespace("attacker")
        rows = victims(chance)
        await kind.add_rows(sync_call, victim, rows, wait=True, wait_timeout=60)
        if not made_by_store and chance.random() < 0.7:
            for name, index_type in {**INDEXED, **layout.METADATA_INDEXES}.items():
                index.create_metadata_index(name, index_type)
        if chance.random() < 0.5:
            extra = chance.choice(['{"v":9}', "{", '{"v":1,"x":"vs-0"}', '{"v":1,"n":{}}'])
            odd = Vector("xyzzy-odd", vector("q"), "victim", {"_vs": extra})
            index.upsert([odd], wait=True)
        ids = [layout.stored_id("victim", row[0]) for row in rows]
        attack = Attack(chance, kind, "victim")
        hidden = [SECRET, *ids, *(list_name("docs", one) for one in ids)]
        hidden = [one for one in hidden if one not in attack.ids]
        before = await kept(kind, client, victim, rows)
        until, tried = time.monotonic() + sized(0.4, 2.0), 0
        while time.monotonic() < until or tried < 10:
            tried += 1
            if hasty:
                # The same again, which is not processed yet.
                await kind.add_rows(sync_call, victim, [chance.choice(rows)])
            name, args, given = attack.call()
            caplog.clear()
            with warnings.catch_warnings(record=True, action="always") as warned:
                way = chance.choice([sync_call, async_call])
                said = await attempt(way, attacker, name, args, given)
            said += [str(one.message) for one in warned]
            said += [record.getMessage() for record in caplog.records]
            for one in said:
                assert gives_away(one, hidden) is None, (seed, name, args, given, one)
        assert await kept(kind, client, victim, rows) == before


async def kept(kind: Kind, client: VectorizeClient, victim: Any, rows: list[Row]) -> Any:
    """What the victim has: its vectors, and its texts."""
    index = client.index("docs")
    index.wait(wait_timeout=60)
    ids = [layout.stored_id("victim", row[0]) for row in rows]
    found = {v.id: v for v in index.get([*ids, "xyzzy-odd"])}
    # What is written again gets what the layout has by now.
    new = layout.METADATA_INDEXES.keys()
    stored = {
        name: (v.values.tolist(), {k: m for k, m in (v.metadata or {}).items() if k not in new})
        for name, v in found.items()
    }
    return stored, await kind.get(sync_call, victim, [row[0] for row in rows])
