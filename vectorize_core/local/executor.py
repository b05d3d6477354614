"""Executors that carry out operations on the embedded Vectorize, without JSON or sockets."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, cast

from vectorize_core import forks
from vectorize_core.api import coverage, d1, known_ids, pending, scan
from vectorize_core.api import operations as ops
from vectorize_core.api.operations import Op
from vectorize_core.errors import ApiMessage, error_from_answer
from vectorize_core.holds import Call, Calls
from vectorize_core.job import Job
from vectorize_core.local import Service, ServiceFault
from vectorize_core.local.d1_databases import D1Databases
from vectorize_core.threads import Threads, in_thread
from vectorize_core.transport.executor import GOES_ON, Answer, InterruptionError, Use

T = TypeVar("T")

_CALLS: dict[type[Op[Any]], Callable[[Service, Any], Any]] = {
    ops.CreateIndex: lambda s, op: s.create_index(op.name, op.config, op.description),
    ops.ListIndexes: lambda s, _: s.list_indexes(),
    ops.GetIndex: lambda s, op: s.get_index(op.index),
    ops.DeleteIndex: lambda s, op: s.delete_index(op.index),
    ops.GetInfo: lambda s, op: s.index_info(op.index),
    ops.Insert: lambda s, op: s.insert(op.index, op.vectors),
    ops.Upsert: lambda s, op: s.upsert(op.index, op.vectors),
    ops.Query: lambda s, op: s.query(
        op.index,
        vector=op.vector,
        vector_id=op.vector_id,
        top_k=op.top_k,
        return_values=op.return_values,
        return_metadata=op.return_metadata,
        filter=op.filter,
        namespace=op.namespace,
    ),
    ops.GetByIds: lambda s, op: s.get_by_ids(op.index, op.ids),
    ops.DeleteByIds: lambda s, op: s.delete_by_ids(op.index, op.ids),
    ops.ListVectors: lambda s, op: s.list_vectors(op.index, count=op.count, cursor=op.cursor),
    ops.CreateMetadataIndex: lambda s, op: s.create_metadata_index(
        op.index, op.property_name, op.index_type
    ),
    ops.ListMetadataIndexes: lambda s, op: s.list_metadata_indexes(op.index),
    ops.DeleteMetadataIndex: lambda s, op: s.delete_metadata_index(op.index, op.property_name),
    coverage.CountUncovered: lambda s, op: s.count_uncovered(
        op.index, op.property_name, op.namespace, op.lacks
    ),
    scan.ScanVectors: lambda s, op: scan.VectorPage(
        *s.scan(op.index, count=op.count, cursor=op.cursor, namespace=op.namespace)
    ),
    scan.ScanStarts: lambda s, op: s.scan_starts(op.index, op.count),
    pending.CountPending: lambda s, op: s.count_pending(op.index),
    known_ids.KnownIds: lambda s, op: s.known_ids(op.index, op.ids),
}


class _Busy:
    """The operations that are on their way; none begins while its lock is held."""

    def __init__(self) -> None:
        # The __del__ of something collected meanwhile may take it, too.
        self.lock = forks.lock()
        self.operations = Calls()


class ThreadedExecutor(ABC):
    """Carries out operations in this process.

    Async operations run in threads, writes in a single one, so that neither a search nor an fsync
    blocks the event loop.
    """

    def __init__(self) -> None:
        self._use = Use()
        self._busy: dict[int, _Busy] = {}
        self._reading, self._writing = Threads("read", 2), Threads("write", 1)

    def send(self, op: Op[T], /) -> Answer[T]:
        """Carry ``op`` out; raises its typed error."""
        self.check()
        busy, call = self._busy_here(), Call()
        with busy.lock:
            busy.operations.begin(call)
        try:
            return Answer(cast("T", self._carry_out(op)))
        except ServiceFault as fault:
            messages = (ApiMessage(fault.code, fault.message),)
            refused = error_from_answer(str(op), fault.status, messages)
        except KeyboardInterrupt as interruption:
            raise interruption from InterruptionError(None)
        finally:
            busy.operations.end(call)
            # It holds this call's variables, such as vectors.
            del call
        # Only here: as its context, the fault would hold the connection that it came through.
        raise refused

    def check(self) -> None:
        """Raise an error where it may not be used any more."""
        self._use.check()

    def _busy_here(self) -> _Busy:
        # By process: another thread may hold the lock when this one forks.
        return self._busy.setdefault(os.getpid(), _Busy())

    @abstractmethod
    def _carry_out(self, op: Op[Any]) -> Any:
        """The answer of ``op``, or a fault."""

    @abstractmethod
    def _close_files(self) -> None:
        """Close the service for good."""

    @abstractmethod
    def _release_files(self) -> None:
        """Close its files until they are needed again."""

    async def asend(self, op: Op[T], /) -> Answer[T]:
        """Carry ``op`` out; raises its typed error."""
        self.check()
        job = Job(partial(self.send, op))
        threads = self._reading if op.kind == "read" else self._writing
        if (tell := GOES_ON.get()) is not None:
            tell(job)
        try:
            return await job.awaited() if threads.begin(job) else job.result()
        except BaseException as ended:
            if isinstance(ended, Exception):
                raise
            # Cancelled, or destroyed with its event loop, or Ctrl-C in that.
            raise ended from InterruptionError(None if job.cancel() else job)

    def close(self) -> None:
        """Stop the threads and close the service; no operation can follow."""
        self._use.close()
        self._stop_threads()
        self._close_files()

    async def aclose(self) -> None:
        """Stop the threads, and close the files unless others are using them.

        Later calls of other loops open them again. No operation can follow in this loop. What is in
        memory stays.
        """
        self._use.leave()
        await in_thread(self._release)

    def _release(self) -> None:
        self._stop_threads()
        busy = self._busy_here()
        with busy.lock:
            if not busy.operations:
                self._release_files()

    def _stop_threads(self) -> None:
        self._reading.stop()
        self._writing.stop()


class EmbeddedExecutor(ThreadedExecutor):
    """Carries out operations on a `Service`, and on the D1 databases beside it."""

    def __init__(self, service: Service, path: str | os.PathLike[str] = ":memory:") -> None:
        super().__init__()
        self.service = service
        self._databases = D1Databases(path)

    def _carry_out(self, op: Op[Any]) -> Any:
        return carry_out(self.service, self._databases, op)

    def _close_files(self) -> None:
        self._databases.close()
        self.service.close()

    def _release_files(self) -> None:
        self._databases.release()
        self.service.release()


def carry_out(service: Service, databases: D1Databases, op: Op[Any]) -> Any:
    """The answer of an operation on a service, or on the databases beside it; or a fault."""
    if isinstance(op, d1.ReadD1):
        results = databases.run(op.database, op.statements)
        return tuple(rows for _, rows, _ in results)
    return _CALLS[type(op)](service, op)
