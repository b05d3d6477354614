"""Which ids are on their way to an index, so that no two requests race for one."""

from __future__ import annotations

import threading
from collections.abc import Collection


class Claims:
    """The ids that are on their way to one index, over whichever call of a connection."""

    def __init__(self) -> None:
        self._owners: dict[str, object] = {}
        self._lock = threading.Lock()

    def take(self, owner: object, ids: Collection[str]) -> bool:
        """Claim ``ids`` for ``owner``, all or none; False if one of them is another's."""
        with self._lock:
            if not self._owners.keys().isdisjoint(ids):
                return False
            self._owners.update(dict.fromkeys(ids, owner))
            return True

    def release(self, owner: object, ids: Collection[str]) -> None:
        """Give up what of ``ids`` is claimed for ``owner``."""
        with self._lock:
            for claimed in ids:
                if self._owners.get(claimed) is owner:
                    del self._owners[claimed]
