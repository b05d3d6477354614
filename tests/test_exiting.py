"""Calls while the interpreter shuts down: each works, or raises an error that says so, at once."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.kinds import LANGCHAIN, Kind, both_stores
from tests.stores import async_call
from vectorize_core import VectorizeError
from vectorize_core.local.server import BackgroundServer

ROOT = Path(__file__).parent.parent
PROGRAM = """
import asyncio, atexit, json, sys, time

from tests import kinds
from tests.stores import async_call, sync_call
from vectorize_core import VectorizeError

kind = getattr(kinds, {kind!r})
method = "add_documents" if kind is kinds.LANGCHAIN else "add"
# Made in time: Pydantic imports modules for it.
items = [kind.item((text, text, {{}})) for text in "ab"]

def work(how, coming):
    if how is async_call:
        return asyncio.run(coming)
    try:
        coming.send(None)
    except StopIteration as end:
        return end.value

def ended(call):
    began = time.monotonic()
    try:
        call()
        return "ok", time.monotonic() - began
    except VectorizeError as error:
        return "shutting down" if "shutting down" in str(error) else repr(error), 0
    except BaseException as error:
        return f"{{type(error).__name__}}: {{error}}", time.monotonic() - began

def report(moment, store):
    for how in (sync_call, async_call):
        for name, call in (
            ("add", lambda: work(how, how(store, method, items))),
            ("search", lambda: work(how, kind.search(how, store, "a"))),
            ("delete", lambda: work(how, kind.delete(how, store, ["a"]))),
        ):
            outcome, seconds = ended(call)
            print(json.dumps([moment, how.__name__, name, outcome, seconds]), flush=True)
    print(json.dumps([moment, "", "close", *ended(store.close)]), flush=True)

class Late:
    def __init__(self, store):
        self.store = store
        # What it uses is still there when this is deleted, unlike the globals of a module.
        self.report = report
    def __del__(self, globals_=dict(globals())):
        report.__globals__.update(globals_)
        self.report("del", self.store)

def make():
    store = kind.make(index_name="docs", **{options!r})
    if {warm!r}:
        work(sync_call, kind.add(sync_call, store, "a", "b"))
        work(sync_call, kind.search(sync_call, store, "a"))
    return store

sys.modules["late"] = Late(make())
atexit.register(report, "atexit", make())
"""


@both_stores
@pytest.mark.parametrize("place", ["memory", "http"])
@pytest.mark.parametrize("warm", [True, False])
@pytest.mark.covering(1)
def test_a_call_at_exit_works_or_says_why_not(
    kind: Kind, place: str, warm: bool, no_credentials: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:
        options: dict[str, object] = {"path": ":memory:"}
        if place == "http":
            server = stack.enter_context(BackgroundServer())
            options = {"base_url": server.base_url, "create_index": True}
        name = "LANGCHAIN" if kind is LANGCHAIN else "LLAMA_INDEX"
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(kind=name, options=options, warm=warm)],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            timeout=100,
        )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == 14, done.stderr[-2_000:]
    for moment, how, call, outcome, seconds in lines:
        if how == "async_call" and moment == "del":
            # asyncio itself can make no loop then.
            assert outcome in ("ok", "shutting down") or outcome.startswith("ImportError: "), call
        elif moment == "del":
            assert outcome in ("ok", "shutting down"), (call, outcome)
        else:
            assert outcome == "ok", (how, call, outcome)
        assert seconds < 10
    assert done.returncode == 0


@both_stores
def test_async_methods_without_asyncio_say_what_to_do(kind: Kind) -> None:
    # As under trio, whose coroutines are no business of asyncio.
    with kind.make(index_name="docs", path=":memory:") as store:
        for coming in (kind.get(async_call, store, ["a"]), store.aclose()):
            with pytest.raises(
                VectorizeError, match=r"need a running event loop of asyncio.*to_thread"
            ):
                coming.send(None)
