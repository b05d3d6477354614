"""Writes that end anywhere between text and vector: nothing is unreadable, and a repeat repairs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from tests.core.texts.drivers import Chain, Llama, Seen, Stepping, Watched
from tests.core.texts.killed import NEW, OLD, long
from tests.core.texts.kinds import DURABLE, MakeTexts
from tests.nightly import NIGHTLY
from tests.stores import sync_call
from vectorize_core import VectorizeClient
from vectorize_core.texts import SqliteTexts, TextStore, keeping
from vectorize_core.texts.store import list_name, text_name
from vectorize_core.transport.io import Io, run

ROOT: Final = Path(__file__).parents[3]
every_kind = pytest.mark.parametrize("make", DURABLE.values(), ids=list(DURABLE))


BEFORE: Final[Seen] = {"a": OLD}
# What is done to the record `a`, and what there is then.
ACTIONS: Final[dict[str, tuple[tuple[str, int] | None, Seen]]] = {
    "add": (NEW, {"a": NEW}),
    "update": (NEW, {"a": NEW}),
    "shorten": (("short", 2), {"a": ("short", 2)}),
    "delete": (None, {}),
}


# By day the kinds that are not ours take turns.
ACTIONS_OF_KINDS: Final = [
    (kind, action)
    for number, kind in enumerate(DURABLE)
    for action in (ACTIONS if kind == "SQLite" or NIGHTLY else [*ACTIONS][number - 1 :: 2])
]


class FailedError(Exception):
    """Stands for whatever ends a write."""


class FailingStep:
    """Fails when it is called for the ``at``-th time."""

    def __init__(self, at: int) -> None:
        self._left = at

    def __call__(self) -> None:
        self._left -= 1
        if self._left == 0:
            raise FailedError


async def act(store: Chain, action: str) -> None:
    record, _ = ACTIONS[action]
    if record is None:
        await store.delete(sync_call, ["a"])
    else:
        await store.add(sync_call, ("a", *record))


@pytest.mark.parametrize(("kind", "action"), ACTIONS_OF_KINDS)
async def test_the_same_call_repairs_a_write_wherever_it_ended(
    tmp_path: Path, kind: str, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, after = ACTIONS[action]
    before = {} if action == "add" else BEFORE
    for at in count(1):
        monkeypatch.undo()
        place = tmp_path / str(at)
        place.mkdir()
        client, step = VectorizeClient.local(place), FailingStep(at)
        texts = Watched(DURABLE[kind](place))
        if before:
            await Chain(client, texts=texts).add(sync_call, ("a", *before["a"]))
        texts.step = step
        plain = client.connection.executor
        client.connection.executor = Stepping(plain, step)
        failed = False
        try:
            await act(Chain(client, texts=texts), action)
        except FailedError:
            failed = True
        texts.step = lambda: None
        client.connection.executor = plain
        store = Chain(client, texts=texts)
        if failed:
            assert await store.get(sync_call, ["a"]) in (before, after)
            assert await store.search(sync_call, "query") in (before, after)
            # As if it were repeated later: what is young may be another process's.
            monkeypatch.setattr(keeping, "_IN_PROGRESS", -1.0)
            await act(store, action)
        assert await store.get(sync_call, ["a"]) == after
        assert texts.texts == [text for text, _ in after.values() if len(text) > 10_240]
        assert bool(texts.live) == bool(texts.texts)
        texts.close()
        client.close()
        if not failed:
            assert at > 3, "it never failed"
            break


@every_kind
async def test_a_delete_finds_the_texts_of_unwritten_records(
    tmp_path: Path, make: MakeTexts
) -> None:
    with VectorizeClient.local(tmp_path) as client:
        texts = Watched(make(tmp_path))
        plain, left = client.connection.executor, 0
        # Before the list, the text, their end, and before the vector.
        for at in (1, 2, 3, 4):
            texts.step = step = FailingStep(at)
            client.connection.executor = Stepping(plain, step)
            with pytest.raises(FailedError):
                await act(Chain(client, texts=texts), "add")
            client.connection.executor = plain
            left += len(texts.texts)
            texts.step = lambda: None
            await act(Chain(client, texts=texts), "delete")
            assert texts.live == {}
        assert left == 2
        texts.close()


# Two writers


class Meanwhile:
    """Does something once, in the midst of another's write."""

    def __init__(self, at: int, do: Callable[[], None]) -> None:
        self._left = at
        self._do = do

    def __call__(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._do()


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[VectorizeClient, VectorizeClient]]:
    """Clients of one directory, as two processes have them."""
    with VectorizeClient.local(tmp_path) as one, VectorizeClient.local(tmp_path) as other:
        yield one, other


UNTIL_DELETION: Final = {"update": 5, "shorten": 2}
"""Steps: a list, a text and the vector, or the vector alone; before each and at the end."""


@pytest.mark.parametrize("theirs", ["other", "old", "new"])
@pytest.mark.parametrize("action", ["update", "shorten"])
async def test_another_writers_text_is_never_taken_for_an_old_one(
    two: tuple[VectorizeClient, VectorizeClient], tmp_path: Path, action: str, theirs: str
) -> None:
    """At every moment of one's update another updates the same record, from start to end.

    To the very text that is being replaced only until its deletion begins: there is no store of
    texts that all could lock.
    """
    one, other = two
    _, after = ACTIONS[action]
    for at in count(1):
        name = f"docs-{at}"
        ours = Watched(SqliteTexts(tmp_path))
        others = Chain(other, index_name=name, texts=SqliteTexts(tmp_path))
        await Chain(one, index_name=name, texts=ours).add(sync_call, ("a", *BEFORE["a"]))
        written = []

        def write(others: Chain = others, written: list[bool] = written) -> None:
            written.append(True)
            run(others.add(sync_call, ("a", long(theirs), 3)))

        meanwhile = Meanwhile(at, write)
        plain = one.connection.executor
        one.connection.executor = Stepping(plain, meanwhile)
        ours.step = meanwhile
        await act(Chain(one, index_name=name, texts=ours), action)
        one.connection.executor = plain
        ours.step = lambda: None
        found = await others.get(sync_call, ["a"])
        assert found in (after, {"a": (long(theirs), 3)})
        assert await others.search(sync_call, "query") == found
        # When it is deleted nothing is left of it, whoever wrote it.
        await others.delete(sync_call, ["a"])
        assert await others.search(sync_call, "query") == {}
        if not written or (theirs == "old" and at == UNTIL_DELETION[action]):
            assert at >= UNTIL_DELETION[action]
            break


async def test_a_record_written_again_during_its_deletion_is_kept(
    two: tuple[VectorizeClient, VectorizeClient], tmp_path: Path
) -> None:
    """After the vector is gone and before its text is, another process writes the record again."""
    one, other = two
    texts = SqliteTexts(tmp_path)
    again = Chain(other, texts=SqliteTexts(tmp_path))
    await Chain(one, texts=texts).add(sync_call, ("a", *BEFORE["a"]))
    meanwhile = Meanwhile(2, lambda: run(again.add(sync_call, ("a", long("old"), 5))))
    one.connection.executor = Stepping(one.connection.executor, meanwhile)
    await Chain(one, texts=texts).delete(sync_call, ["a"])
    assert await again.get(sync_call, ["a"]) == {"a": (long("old"), 5)}


@pytest.mark.parametrize("text", [None, "short", long("new")], ids=["none", "short", "long"])
async def test_a_text_whose_list_was_overwritten_is_deleted_too(
    two: tuple[VectorizeClient, VectorizeClient], tmp_path: Path, text: str | None
) -> None:
    """Each reads the list before the other one writes it."""
    one, other = two
    texts = Watched(SqliteTexts(tmp_path))
    await Chain(one, texts=texts).add(sync_call, ("a", long("theirs"), 1))
    name = list_name("docs", "a")
    others = text_name("docs", "a", "of another")
    run(texts.put(one.connection.io(), "docs", {name: json.dumps({others: 1.0})}))
    chain = Chain(other, texts=texts)
    if text is None:
        await chain.delete(sync_call, ["a"])
    else:
        await chain.add(sync_call, ("a", text, 2))
    assert texts.texts == [text] * (text == long("new"))
    assert len(texts.live) == 2 * len(texts.texts)


@pytest.mark.parametrize("kind", ["SQLite", "D1"])
async def test_of_writes_of_a_record_at_one_instant_no_text_stays_behind(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process writes it when its list was read, and before that is written."""
    first, second = long("ours"), long("theirs")
    with VectorizeClient.local(tmp_path) as client, VectorizeClient.local(tmp_path) as other:
        texts = DURABLE[kind](tmp_path)
        chain, again = Chain(client, texts=texts), Chain(other, texts=DURABLE[kind](tmp_path))
        await chain.add(sync_call, ("a", *BEFORE["a"]))
        waiting = [lambda: run(again.add(sync_call, ("a", second, 2)))]
        in_one_step = type(texts).put_listed is not TextStore.put_listed
        name = "put_listed" if in_one_step else "put"
        put = getattr(texts, name)

        async def late(*given: object) -> None:
            while waiting:
                waiting.pop()()
            await put(*given)

        monkeypatch.setattr(texts, name, late)
        await chain.add(sync_call, ("a", first, 1))
        assert await again.get(sync_call, ["a"]) == {"a": (first, 1)}
        await again.delete(sync_call, ["a"])
        names = [text_name("docs", "a", text) for text in (first, second, BEFORE["a"][0])]
        left = texts.get(client.connection.io(), "docs", [*names, list_name("docs", "a")])
        assert run(left) == {}
        texts.close()


class Late(Watched):
    """Texts that are asked for when something has happened since their vectors were read."""

    def __init__(self, inner: TextStore, happens: Callable[[], None]) -> None:
        super().__init__(inner)
        self._happens = [happens]

    async def get(self, io: Io, index: str, names: Sequence[str], /) -> dict[str, str]:
        if self._happens:
            self._happens.pop()()
        return await super().get(io, index, names)


@pytest.mark.parametrize("action", ["update", "shorten", "delete"])
@pytest.mark.parametrize("read", ["get", "search", "filter", "llama_index"])
async def test_a_record_that_changes_while_it_is_read_is_read_again(
    tmp_path: Path, action: str, read: str
) -> None:
    with VectorizeClient.local(tmp_path) as client:
        kept = SqliteTexts(tmp_path)
        writer = Chain(client, texts=kept)
        await writer.add(sync_call, ("a", *OLD))
        late = Late(kept, lambda: run(act(writer, action)))
        kind = Llama if read == "llama_index" else Chain
        reader, after = kind(client, texts=late), ACTIONS[action][1]
        if read == "get":
            found = await reader.get(sync_call, ["a"])
        elif read == "filter":
            documents = reader.store.similarity_search(
                "query", filter=lambda d: d.page_content != OLD[0], unindexed="scan"
            )
            found = {d.id: (d.page_content, d.metadata["year"]) for d in documents}
        else:
            found = await reader.search(sync_call, "query")
        assert found == after
        kept.close()


# kill -9

NAMES: Final = [
    list_name("docs", "a"),
    *(text_name("docs", "a", long(name)) for name in ("old", "new")),
]

KILLS: Final = {
    "add, its text put": ("add", "before"),
    "update, the new text put": ("update", "before"),
    "update, the new vector written": ("update", "after"),
    "delete, the vector deleted": ("delete", "after"),
}
# Loading a framework takes long, and what is killed is ours.
FULL: Final = ("SQLite", "D1")


def start_and_die(kind: str, place: Path, action: str, moment: str) -> subprocess.Popen[bytes]:
    place.mkdir()
    job = {"kind": kind, "path": str(place), "action": action, "moment": moment}
    with (place / "said").open("wb") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.core.texts.killed", json.dumps(job)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=said,
        )


@pytest.mark.parametrize("kind", DURABLE)
def test_the_same_call_repairs_what_a_killed_process_left(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills = KILLS if kind in FULL or NIGHTLY else dict([*KILLS.items()][1:2])
    processes = {
        name: start_and_die(kind, tmp_path / str(number), *how)
        for number, (name, how) in enumerate(kills.items())
    }
    for number, (name, (action, _)) in enumerate(kills.items()):
        place, after = tmp_path / str(number), ACTIONS[action][1]
        assert processes[name].wait(60) not in (0, 1), (place / "said").read_text()
        before = {} if action == "add" else BEFORE
        with VectorizeClient.local(place) as client:
            texts = DURABLE[kind](place)
            store = Chain(client, texts=texts)
            found = run(store.get(sync_call, ["a"]))
            assert found in (before, after), name
            assert run(store.search(sync_call, "query")) == found, name
            with monkeypatch.context() as later:
                later.setattr(keeping, "_IN_PROGRESS", -1.0)
                run(act(store, action))
            assert run(store.get(sync_call, ["a"])) == after, name
            left = run(texts.get(client.connection.io(), "docs", NAMES))
            assert [text for text in left.values() if len(text) > 10_240] == [
                text for text, _ in after.values()
            ], name
            texts.close()
