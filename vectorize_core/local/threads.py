"""`Threads`: a few threads that do jobs.

Not an executor of Python's: Ctrl-C in its middle can leave a semaphore or condition of it locked,
for which every later call would wait.
"""

from __future__ import annotations

import threading
from _thread import start_new_thread
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

from vectorize_core.local.job import Job


class Threads:
    """Up to ``most`` threads, each begun when there is a job that no other one is idle for.

    Jobs that wait for a thread are as many at most. Ctrl-C may come between any two steps of a
    call, and no step leaves anything behind that a later one would wait for.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._jobs: SimpleQueue[Job[Any] | None] = SimpleQueue()
        self._idle: list[None] = []
        self._begun: list[int] = []
        self._ended: SimpleQueue[None] = SimpleQueue()
        # Of a kind that a signal's handler in the middle of it may take, too.
        self._beginning = threading.RLock()

    def begin(self, job: Job[Any]) -> None:
        """Let a thread do it; none may, if all are busy or the system lets none begin."""
        with self._beginning:
            if self._jobs.qsize() >= len(self._idle) and len(self._begun) < self._most:
                # Refused at a limit of the system, and while the interpreter shuts down.
                with suppress(RuntimeError):
                    # In one step, so that each that runs is counted. One of `threading` would be
                    # waited for with a condition of Python's.
                    self._begun.extend(map(start_new_thread, [self._serve], [()]))
        if self._begun and self._jobs.qsize() < self._most:
            self._jobs.put(job)

    def stop(self) -> None:
        """End the threads once they have done what was begun. Nothing can be begun afterwards."""
        self._jobs.put(None)
        for _ in self._begun:
            self._ended.get()

    def _serve(self) -> None:
        try:
            while True:
                self._idle.append(None)
                job = self._jobs.get()
                self._idle.pop()
                if job is None:
                    break
                job.run()
                # It may refer to much, and the next one may be long in coming.
                del job
        finally:
            # For the next thread.
            self._jobs.put(None)
            self._ended.put(None)
