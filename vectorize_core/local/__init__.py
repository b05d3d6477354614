"""The embedded Vectorize: does what Cloudflare Vectorize does, on one machine, without an account.

It knows nothing of its clients. It uses `api`, `filters.native`, `scoring`, what is below those,
and of `transport` the protocol of executors and what counts as a loopback address.
"""

from vectorize_core.behavior import Behavior
from vectorize_core.errors import StorageError
from vectorize_core.local.faults import ServiceFault
from vectorize_core.local.integrity import CheckReport, Finding
from vectorize_core.local.maintenance import IndexStats, Stats
from vectorize_core.local.service import Service

__all__ = [
    "Behavior",
    "CheckReport",
    "Finding",
    "IndexStats",
    "Service",
    "ServiceFault",
    "Stats",
    "StorageError",
]

for _export in (CheckReport, Finding, IndexStats, Service, ServiceFault, Stats):
    _export.__module__ = __name__
