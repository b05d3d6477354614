"""`LynseHttp`: the operations of LynseDB over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from vectorize_core.api.operations import Kind, Op
from vectorize_core.api.wire import Request
from vectorize_core.errors import ApiError, ApiMessage
from vectorize_core.lynse.operations.base import LynseOp
from vectorize_core.lynse.restart import Restarts
from vectorize_core.lynse.server import Server
from vectorize_core.lynse.wire import read_answer
from vectorize_core.transport.credentials import Credentials
from vectorize_core.transport.http import Body, HttpExecutor, Response

_HINTS: Final = {
    401: "Check api_key=, or LYNSE_API_KEY: it is the --api-key of the server",
    403: "Check api_key=, or LYNSE_API_KEY: it is the --api-key of the server",
    413: "Send fewer records at once, or start the server with larger limits (--json-limit-mb, "
    "--payload-limit-mb)",
}


class LynseHttp(HttpExecutor):
    """Sends operations in the dialect of a `Server`, as far as that is known.

    A long call, such as building an index, keeps a server from answering anything else.
    """

    default_seconds: ClassVar[Mapping[Kind, float]] = {
        "read": 30.0,
        "write": 60.0,
        "control": 600.0,
    }

    def __init__(self, credentials: Credentials, server: Server, **settings: Any) -> None:
        super().__init__(credentials, **settings)
        self.server = server
        self.restarts = Restarts()

    def _request(self, op: Op[Any]) -> Request:
        dialect = self.server.dialect
        if not isinstance(op, LynseOp) or dialect is None:
            return op.request()
        return op.request_for(dialect)

    def _result(
        self, op: Op[Any], response: Response, body: Body
    ) -> tuple[Any, tuple[ApiMessage, ...]]:
        self.restarts.note(response.extensions)
        form = op.form if isinstance(op, LynseOp) else "params"
        return read_answer(str(op), response.status_code, body, form), ()

    def _hint(self, error: ApiError, response: Response) -> str | None:
        if error.status == 404 and not error.errors:
            # Another version may have taken its place.
            self.server.forget()
            return f"Nothing of LynseDB is there: base_url is {self.credentials.base_url!r}"
        if response.has_redirect_location:
            return f"Its server redirects to {response.headers['location']}"
        return _HINTS.get(error.status)
