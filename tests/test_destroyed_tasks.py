"""Tasks whose event loop is closed: Python destroys them, and nobody hears more of it."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.interrupting import in_time
from tests.kinds import LANGCHAIN
from tests.nightly import sized
from vectorize_core import RetryPolicy
from vectorize_core.local.server import BackgroundServer

TEXTS = [f"{n}" for n in range(60)]
CALLS: dict[str, Callable[[Any, Path], Any]] = {
    "add": lambda store, _: store.aadd_texts(TEXTS, ids=TEXTS, batch_size=10),
    "resumed": lambda store, file: store.aadd_texts(TEXTS, ids=TEXTS, batch_size=10, resume=file),
    "get": lambda store, _: store.aget_by_ids(TEXTS),
    "search": lambda store, _: store.asimilarity_search("1", k=60),
    "delete": lambda store, _: store.adelete(filter={"n": 1}),
}


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("over_http", [False, True])
def test_a_task_that_is_destroyed_anywhere(
    name: str, over_http: bool, tmp_path: Path, no_credentials: pytest.MonkeyPatch
) -> None:
    heard: list[object] = []
    no_credentials.setattr(sys, "unraisablehook", lambda args: heard.append(args.exc_value))
    with ExitStack() as stack:
        options: dict[str, Any] = {"path": tmp_path / "data"}
        if over_http:
            url = stack.enter_context(BackgroundServer()).base_url
            # A request that was lost is waited for until its life is over.
            soon = RetryPolicy(request_lifetime=0.01)
            options = {"base_url": url, "create_index": True, "retry": soon}
        destroyed_anywhere(LANGCHAIN.make(index_name="docs", **options), CALLS[name], tmp_path)
    assert heard == []


def destroyed_anywhere(store: Any, call: Callable[[Any, Path], Any], folder: Path) -> None:
    store.add_texts(TEXTS, ids=TEXTS)
    for steps in range(1, 40, sized(4, 1)):
        loop = asyncio.new_event_loop()
        task = loop.create_task(call(store, folder / "resume"))
        # As if nobody had to know of it.
        task._log_destroy_pending = False
        for _ in range(steps):
            loop.call_soon(loop.stop)
            loop.run_forever()
            time.sleep(0.0005)
        for each in asyncio.all_tasks(loop):
            each._log_destroy_pending = False
        loop.close()
        has_ended = task.done()
        del task, loop
        gc.collect()
        if has_ended:
            break
    in_time(lambda: store.add_texts(["last"] * 60, ids=TEXTS))
    assert {found.page_content for found in store.get_by_ids(TEXTS)} == {"last"}
    store.close()
