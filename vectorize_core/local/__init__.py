"""The embedded Vectorize: what Cloudflare Vectorize does, on one machine and without an account."""

from vectorize_core.behavior import Behavior
from vectorize_core.local.faults import ServiceFault
from vectorize_core.local.service import Service

__all__ = ["Behavior", "Service", "ServiceFault"]
