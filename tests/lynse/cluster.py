"""A LynseDB cluster on this machine: a coordinator, and servers that have a part of all records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.lynse.servers import KEY, NEW, Lynse, running


class Shard(Lynse):
    """A server that the coordinator reaches over its second port, too."""

    def _environment(self) -> dict[str, str]:
        found = super()._environment()
        del found["LYNSE_DISABLE_INTERNAL_RPC"]
        return found


class Coordinator(Lynse):
    """What answers for the shards."""

    shards: list[str]

    def _arguments(self) -> list[str]:
        config = self.folder / "cluster.json"
        groups = [{"name": f"sg{at}", "primary": url} for at, url in enumerate(self.shards)]
        config.write_text(json.dumps({"bucket_count": 4096, "shard_groups": groups}))
        return [
            *("--role", "coordinator", "--cluster-config", str(config)),
            *("--cluster-state", str(self.folder / "state.json"), "--shard-api-key", KEY),
        ]


@contextmanager
def cluster(factory: pytest.TempPathFactory, shards: int = 2) -> Iterator[Lynse]:
    """A coordinator, until the end of the block."""
    with ExitStack() as stack:
        urls = [stack.enter_context(running(NEW, factory, Shard)).url for _ in range(shards)]
        Coordinator.shards = urls
        yield stack.enter_context(running(NEW, factory, Coordinator))
