"""Who the caller is: the routes that wrangler asks before, or after, a call of Vectorize.

The server has one user. It lists one account, `LOCAL_ACCOUNT`, so that wrangler need not ask which
one; any other account id works too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.responses import Response
from starlette.routing import Route

from vectorize_core.local.faults import ServiceFault
from vectorize_core.local.server import responses
from vectorize_core.local.server.endpoints import Call, RequestReader
from vectorize_core.transport.loopback import LOCAL_ACCOUNT

_ROOT: Final = "/client/v4"
_ACCOUNTS: Final = f"{_ROOT}/accounts"
_USER: Final = f"{_ROOT}/user"
_VERIFY: Final = "/tokens/verify"
# Identifiers have 32 hexadecimal digits.
_ID: Final = "0" * 32
_EMAIL: Final = "local@localhost"
_CREATED: Final = "2024-01-01T00:00:00Z"


def routes(reader: RequestReader) -> Sequence[Route]:
    """The routes, all of them GET."""
    table = {
        _ACCOUNTS: _accounts,
        f"{_ACCOUNTS}/{{account}}": _account_of,
        f"{_ACCOUNTS}/{{account}}{_VERIFY}": _verify,
        f"{_ROOT}/memberships": _memberships,
        _USER: _user,
        f"{_USER}{_VERIFY}": _verify,
    }
    return [Route(path, reader.endpoint(work), methods=["GET"]) for path, work in table.items()]


def answer_to_wrong_token(method: str, path: str, query: Mapping[str, str]) -> Response:
    """The refusal of a request whose token is wrong, but the list of accounts, which is no secret.

    On code 10000 wrangler asks who it is, and only these answers keep that from crashing: a token
    that is not a user's, a user that may not be read, and an account to name.
    """
    if (method, path) == ("GET", _ACCOUNTS):
        return _page(query, _account(LOCAL_ACCOUNT))
    code, text = {
        _USER + _VERIFY: (1000, "Invalid API Token"),
        _USER: (9109, "Invalid access token"),
    }.get(path, (10000, "Authentication error"))
    return responses.failure(ServiceFault(401, code, text), path)


def _accounts(call: Call) -> Response:
    return _page(call.query, _account(LOCAL_ACCOUNT))


def _account_of(call: Call) -> Response:
    return responses.success(_account(call.names["account"]))


def _memberships(call: Call) -> Response:
    roles = ["Super Administrator - All Privileges"]
    membership = {"id": _ID, "status": "accepted", "roles": roles}
    return _page(call.query, {**membership, "account": _account(LOCAL_ACCOUNT)})


def _user(_: Call) -> Response:
    return responses.success({"id": _ID, "email": _EMAIL, "created_on": _CREATED})


def _verify(_: Call) -> Response:
    return responses.success({"id": _ID, "status": "active"})


def _account(name: str) -> dict[str, Any]:
    of_account = {"id": name, "name": name, "type": "standard", "created_on": _CREATED}
    return {**of_account, "settings": {"enforce_twofactor": False}}


def _page(query: Mapping[str, str], only: dict[str, Any]) -> Response:
    """A list of one item. Clients ask for pages until one is empty."""
    number, size = _count(query, "page", 1), _count(query, "per_page", 20)
    return responses.page([only] if number == 1 else [], number=number, size=size, total=1)


def _count(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, "")
    # Nobody is helped by a refusal here.
    usable = text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0
    return int(text) if usable else default
