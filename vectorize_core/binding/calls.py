"""The calls of Vectorize as those of its binding: a method and its arguments.

https://developers.cloudflare.com/vectorize/reference/client-api/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from vectorize_core.api import operations as ops
from vectorize_core.api import wire
from vectorize_core.api.operations import Op


class Call(NamedTuple):
    """A method of the binding, and its arguments as JSON."""

    method: str
    arguments: tuple[bytes, ...] = ()


def _json(value: Any) -> bytes:
    return b"".join(wire.json_body(value))


def _vectors(op: ops.Insert | ops.Upsert) -> tuple[bytes]:
    return (b"[" + b",".join(map(wire.vector_line, op.vectors)) + b"]",)


def _query(op: ops.Query) -> Call:
    options = _json(op.options)
    if op.vector is None:
        return Call("queryById", (_json(op.vector_id), options))
    return Call("query", (_json(op.vector), options))


CALLS: Final[Mapping[type[Op[Any]], Callable[[Any], Call]]] = {
    ops.GetInfo: lambda _: Call("describe"),
    ops.Query: _query,
    ops.Insert: lambda op: Call("insert", _vectors(op)),
    ops.Upsert: lambda op: Call("upsert", _vectors(op)),
    ops.GetByIds: lambda op: Call("getByIds", (_json(op.ids),)),
    ops.DeleteByIds: lambda op: Call("deleteByIds", (_json(op.ids),)),
}
METHODS: Final = ("describe", "query", "queryById", "insert", "upsert", "getByIds", "deleteByIds")
