"""Other engines that a laptop may hold vectors in, each as its own documentation shows it."""

from __future__ import annotations

import importlib.util
from typing import Final

from benchmarks.engine.peers.chroma import Chroma
from benchmarks.engine.peers.faiss_flat import Faiss
from benchmarks.engine.peers.lance import Lance
from benchmarks.engine.peers.peer import Peer
from benchmarks.engine.peers.qdrant import Qdrant
from benchmarks.engine.peers.sqlite_vec import SqliteVec

KINDS: Final[tuple[type[Peer], ...]] = (Faiss, Chroma, Qdrant, SqliteVec, Lance)


def installed() -> list[type[Peer]]:
    """Those that can be imported."""
    return [kind for kind in KINDS if importlib.util.find_spec(kind.package) is not None]
