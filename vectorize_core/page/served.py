"""`page_beside`: the page at the root of a local server, over the data that this serves."""

from __future__ import annotations

from functools import partial

from vectorize_core.client import VectorizeClient, over
from vectorize_core.connection import EMBEDDED, Address, Connection
from vectorize_core.local.server.account_executor import AccountExecutor
from vectorize_core.local.server.app import Parts
from vectorize_core.local.server.settings import Settings
from vectorize_core.page.account import Account
from vectorize_core.page.activity import Activity
from vectorize_core.page.app import Call, Page, assemble
from vectorize_core.page.embedders import Embedder
from vectorize_core.page.faults import Faults
from vectorize_core.page.guard import Guard
from vectorize_core.page.watched import Watched
from vectorize_core.secret import hidden
from vectorize_core.transport.capabilities import Capabilities


def page_beside(parts: Parts, settings: Settings, embedder: Embedder | None = None) -> Page:
    """A server whose root is the page; all else is answered as without it, and shown there.

    Where the server has a token, the page needs it as well.
    """
    connection = Connection(
        AccountExecutor(parts.accounts),
        address=Address(path=str(settings.data), unpicklable="a server in this process has it"),
        capabilities=Capabilities(operations=EMBEDDED, free_requests=True),
    )
    activity, faults = Activity(), Faults(parts)
    more = (
        Call("GET", "faults", faults.now),
        Call("PUT", "faults", faults.change, changes=True),
    )
    guard = partial(Guard, hosts=parts.hosts, token=hidden(settings.token))
    account = Account(over(VectorizeClient, connection), activity.note_event)
    return assemble(account, activity, guard, embedder, more, Watched(parts.app, activity))
