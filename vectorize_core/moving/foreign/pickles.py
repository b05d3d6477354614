"""Reading a pickle without running anything that it names.

Of the models of other libraries (pydantic's, and plain objects) only the fields are read, as a
`Model`. Beside these, a pickle may hold what stands in metadata. Any other class is refused.
"""

from __future__ import annotations

import datetime as dt
import decimal
import pickle
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from io import BytesIO
from typing import IO, Any, ClassVar, Final, NamedTuple

import numpy as np

from vectorize_core import limits
from vectorize_core.errors import OversizedError, StorageError, in_words

_HARMLESS: Final[Mapping[tuple[str, str], Any]] = {
    ("datetime", "date"): dt.date,
    ("datetime", "datetime"): dt.datetime,
    ("datetime", "time"): dt.time,
    ("datetime", "timedelta"): dt.timedelta,
    ("datetime", "timezone"): dt.timezone,
    ("decimal", "Decimal"): decimal.Decimal,
}


class Class(NamedTuple):
    """A class that is read as a `Model`, wherever in its package it is."""

    package: str
    name: str


class Model:
    """The fields of an object of another library."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        fields = state.get("__dict__", state) if isinstance(state, dict) else None
        if not isinstance(fields, dict):
            raise pickle.UnpicklingError("the fields of an object are no dict")
        self.fields = fields


def loads(data: bytes, classes: Collection[Class], where: str) -> Any:
    """The value of a pickle. `StorageError`, naming ``where`` it is, for one that is not plain."""
    return load(BytesIO(data), len(data), classes, where)


def load(file: IO[bytes], size: int, classes: Collection[Class], where: str) -> Any:
    """As `loads`, of a file of ``size`` bytes."""
    try:
        return _Unpickler(_Bounded(file, size), classes).load()
    except _RefusedError as error:
        raise StorageError(f"{where}: {error}") from None
    except Exception as error:  # What a damaged pickle makes of the machine is anything.
        raise StorageError(f"{where} is damaged: no pickle ({in_words(error)})") from error


def check_size(value: Any, what: str) -> None:
    """`OversizedError`, calling it ``what``, for more values than metadata has room for.

    A pickle of a few bytes may hold one list in a million places, or in itself.
    """
    todo, seen = [value], 0
    while todo:
        found = todo.pop()
        inner = found.values() if type(found) is dict else found
        if type(found) in _CONTAINERS:
            seen += len(inner)
            if seen > limits.MAX_METADATA_BYTES:
                raise OversizedError(f"{what} has more values than metadata has room for")
            todo += inner


_CONTAINERS: Final = {dict, list, tuple, set, frozenset}


class _RefusedError(Exception):
    """A class that is not read."""


def _check_hashed(values: Iterable[Any]) -> None:
    """Refuse a tuple as a key or in a set.

    One of two others, which are of two others each and so on, is not hashed in a lifetime.
    """
    if any(type(value) in (tuple, frozenset) for value in values):
        raise _RefusedError("it holds a tuple as a key or in a set, which metadata cannot")


def _check_fields(stack: Sequence[Any]) -> None:
    """Refuse fields of anything that is not a value of this one pickle."""
    if not isinstance(stack[-2], (Model, _Uuid, _Dtype)):
        raise pickle.UnpicklingError("there are fields of what has none")


_CHECKS: Final[Mapping[bytes, Callable[[Sequence[Any]], None]]] = {
    pickle.FROZENSET: _check_hashed,
    pickle.ADDITEMS: _check_hashed,
    pickle.DICT: lambda stack: _check_hashed(stack[::2]),
    pickle.SETITEM: lambda stack: _check_hashed(stack[-2:-1]),
    pickle.SETITEMS: lambda stack: _check_hashed(stack[::2]),
    pickle.BUILD: _check_fields,
}
"""What is looked at on the stack before an instruction."""


def _checked(opcode: int, check: Callable[[Sequence[Any]], None]) -> Callable[[Any], None]:
    instruction: Callable[[Any], None] = pickle._Unpickler.dispatch[opcode]  # noqa: SLF001

    def checked(unpickler: Any) -> None:
        check(unpickler.stack)
        instruction(unpickler)

    return checked


class _Unpickler(pickle._Unpickler):  # noqa: SLF001
    """The one in Python: that in C takes as much memory as the pickle says it needs."""

    def __init__(self, file: _Bounded, classes: Collection[Class]) -> None:
        super().__init__(file)
        self._classes = classes

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a class: nothing is ever imported."""
        if Class(module.partition(".")[0], name) in self._classes:
            return Model
        if (module, name) in _HARMLESS:
            return _HARMLESS[module, name]
        if (module, name) in _OURS:
            return _OURS[module, name]
        raise _RefusedError(
            f"it holds {module}.{name}, and to load that could run any code. If you trust the "
            "file, load it with the library that made it, and add its records to the store"
        )

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        **pickle._Unpickler.dispatch,  # noqa: SLF001
        **{opcode[0]: _checked(opcode[0], check) for opcode, check in _CHECKS.items()},
    }


def _set(items: Iterable[Any] = ()) -> set[Any]:
    _check_hashed(items)
    return set(items)


def _frozenset(items: Iterable[Any] = ()) -> frozenset[Any]:
    _check_hashed(items)
    return frozenset(items)


class _Bounded:
    """A file of which nothing is read beyond its end, whatever length a pickle tells."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._size = size

    def read(self, length: int = -1) -> bytes:
        left = self._size - self._file.tell()
        return self._file.read(left if length < 0 else min(length, left))

    def readline(self) -> bytes:
        return self._file.readline()

    def readinto(self, room: memoryview | bytearray) -> int:
        part = self.read(len(room))
        room[: len(part)] = part
        return len(part)


class _Uuid(uuid.UUID):
    """A UUID, made of its number alone."""

    def __setstate__(self, state: Any) -> None:
        self.__init__(int=state["int"])  # type: ignore[misc]


class _Dtype:
    """The type of a scalar of NumPy."""

    def __init__(self, code: str, *_: object) -> None:
        self.code = code
        self.order = "="

    def __setstate__(self, state: Any) -> None:
        self.order = state[1]


def _scalar(dtype: _Dtype, data: bytes) -> Any:
    """A scalar of NumPy as Python's: a number or a text."""
    order = dtype.order if dtype.order in ("<", ">") else "="
    if not isinstance(dtype.code, str):
        raise pickle.UnpicklingError("a type of NumPy has no name")
    kind = np.dtype(f"{order}{dtype.code}")
    if kind.kind not in "biufU":
        raise _RefusedError(f"it holds a scalar of NumPy's {kind}, which metadata cannot")
    (found,) = np.frombuffer(data, kind)
    return found.item()


_OURS: Final[Mapping[tuple[str, str], Any]] = {
    ("builtins", "set"): _set,
    ("builtins", "frozenset"): _frozenset,
    ("uuid", "UUID"): _Uuid,
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "scalar"): _scalar,
}
