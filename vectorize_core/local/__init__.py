"""The embedded Vectorize: what Cloudflare Vectorize does, on one machine and without an account."""

from vectorize_core.behavior import Behavior
from vectorize_core.local.faults import ServiceFault
from vectorize_core.local.service import Service
from vectorize_core.local.value_store import StorageError

__all__ = ["Behavior", "Service", "ServiceFault", "StorageError"]

for _export in (Service, ServiceFault, StorageError):
    _export.__module__ = __name__
