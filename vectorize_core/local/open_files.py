"""Bounds on open files: what is not in use is closed when many are open.

macOS lets a process have 256 by default. Connections of clients count, too.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Generic, Protocol, TypeVar

from vectorize_core import forks
from vectorize_core.errors import StorageError
from vectorize_core.holds import Call, Calls

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

_UNBOUNDED: Final = 1 << 20
_OF_WINDOWS: Final = 2_048
_PAUSE: Final = 0.005
_log = logging.getLogger(__name__)


def allowed() -> int:
    """How many files this process may have open."""
    if resource is None:
        return _OF_WINDOWS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _UNBOUNDED if soft == resource.RLIM_INFINITY else soft


def share(part: float, most: int) -> int:
    """``part`` of the files that this process may have open, at most ``most``."""
    return min(most, int(part * allowed()))


def allow_more(wanted: int = 4_096) -> None:
    """Let this process have ``wanted`` files open, or as many as the system lets it."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        except (OSError, ValueError):
            _log.debug("the limit of open files stays at %d", soft)


def are_exhausted() -> bool:
    """Whether the system lets this process open no more files."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE)
    return False


class Owner(Protocol):
    """What has files open."""

    def open_files(self) -> int:
        """How many."""

    def is_empty(self) -> bool:
        """Whether nothing was ever written to it."""

    def release(self) -> None:
        """Close the files until they are needed again, while nobody uses this."""

    def close(self) -> None:
        """Close it for good."""


T = TypeVar("T", bound=Owner)


class OpenFiles:
    """The owners whose files are open, the one that was used last at the end.

    When they have more than ``most`` files open, idle ones are released, the first ones first.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = forks.lock()
        self._users: OrderedDict[Owner, Calls] = OrderedDict()
        self._releasing: dict[Owner, Call] = {}
        forks.inherit(self)

    @contextmanager
    def using(self, owner: Owner) -> Iterator[None]:
        """Keep the files of ``owner`` open meanwhile."""
        call = Call()
        while not self._has_begun(owner, call):
            time.sleep(_PAUSE)
        try:
            yield
        finally:
            with self._lock:
                # Not there any more after a fork in the middle.
                self._users.setdefault(owner, Calls()).end(call)
            self._release_some(self._most)

    def _has_begun(self, owner: Owner, call: Call) -> bool:
        with self._lock:
            releasing = self._releasing.get(owner)
            if releasing is not None and not releasing.has_ended():
                return False
            self._releasing.pop(owner, None)
            users = self._users.setdefault(owner, Calls())
            self._users.move_to_end(owner)
            users.begin(call)
            return True

    def forget(self, owner: Owner) -> None:
        """An owner that is closed or gone."""
        with self._lock:
            self._users.pop(owner, None)

    def after_fork_in_child(self) -> None:
        """Forget what other threads of the parent do."""
        self._users = OrderedDict((owner, Calls()) for owner in self._users)
        self._releasing = {}

    def release_idle(self) -> None:
        """Release all that nobody uses."""
        self._release_some(0)

    def _release_some(self, most: int) -> None:
        while (idle := self._first_idle(most)) is not None:
            try:
                idle.release()
            except StorageError as error:
                _log.warning("a file that is not used cannot be closed: %s", error)
            finally:
                with self._lock:
                    self._releasing.pop(idle, None)

    def _first_idle(self, most: int) -> Owner | None:
        with self._lock:
            if sum(owner.open_files() for owner in self._users) <= most:
                return None
            for owner, users in self._users.items():
                if not users:
                    self._releasing[owner] = Call()
                    del self._users[owner]
                    return owner
            return None


class Named(Generic[T]):
    """Things of one kind by name, made when first used, forgotten if nothing is written to them.

    So reading what does not exist leaves nothing behind.
    """

    def __init__(self, make: Callable[[str], T], files: OpenFiles) -> None:
        self._make = make
        self._files = files
        self._known: dict[str, T] = {}
        self._users: dict[str, Calls] = {}
        self._closed = False
        self._lock = forks.lock()

    @contextmanager
    def use(self, name: str) -> Iterator[T]:
        """The thing of a name, the same one for all who use it at once."""
        call = Call()
        with self._lock:
            found = self._known.get(name)
            if found is None:
                found = self._known[name] = self._make(name)
            self._users.setdefault(name, Calls()).begin(call)
        try:
            with self._files.using(found):
                yield found
        finally:
            self._leave(name, found, call)

    def all(self) -> list[T]:
        """All that are known."""
        with self._lock:
            return list(self._known.values())

    def open(self) -> None:
        """Keep again what is made from now on."""
        with self._lock:
            self._closed = False

    def close(self) -> None:
        """Close all, those in use when they are used no more."""
        with self._lock:
            self._closed = True
            closing = {n: each for n, each in self._known.items() if not self._users.get(n)}
            for name in closing:
                del self._known[name]
        for each in closing.values():
            self._files.forget(each)
            each.close()

    def _leave(self, name: str, found: T, call: Call) -> None:
        with self._lock:
            users = self._users.get(name, Calls())
            users.end(call)
            if users:
                return
            self._users.pop(name, None)
            if not (self._closed or found.is_empty()):
                return
            del self._known[name]
        self._files.forget(found)
        found.close()
