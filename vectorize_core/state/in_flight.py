"""The ids in flight to an index, so that no two requests race for one."""

from __future__ import annotations

import threading
from collections.abc import Collection


class InFlight:
    """The ids that the calls of a connection have in flight to one index; thread-safe."""

    def __init__(self) -> None:
        self._owners: dict[str, object] = {}
        self._lock = threading.Lock()

    def take(self, owner: object, ids: Collection[str]) -> bool:
        """Take ``ids`` for ``owner``, all or none; False if another owner has one of them."""
        with self._lock:
            if not self._owners.keys().isdisjoint(ids):
                return False
            self._owners.update(dict.fromkeys(ids, owner))
            return True

    def release(self, owner: object, ids: Collection[str]) -> None:
        """Free those of ``ids`` that ``owner`` has."""
        with self._lock:
            for taken in ids:
                if self._owners.get(taken) is owner:
                    del self._owners[taken]
