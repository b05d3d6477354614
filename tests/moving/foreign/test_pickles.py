"""Pickles that say more than they may."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import pickle
import uuid
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectorize_core.errors import OversizedError, StorageError
from vectorize_core.moving.foreign import pickles

CLASSES = (pickles.Class("tests", "Known"),)


class Known:
    """Read as its fields, since it is among the classes."""

    def __init__(self, **fields: Any) -> None:
        vars(self).update(fields)


class Refused(Known):
    """Not among them."""


@pytest.mark.parametrize("protocol", range(3, pickle.HIGHEST_PROTOCOL + 1))
def test_what_metadata_holds_is_read(protocol: int) -> None:
    value = {
        "day": dt.date(2020, 1, 2),
        "zone": dt.datetime(2020, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=1))),
        "time": dt.time(1, 2, 3),
        "exact": decimal.Decimal("1.10"),
        "id": uuid.UUID(int=5),
        "sets": [{1, 2}, frozenset("a"), (1, (2,))],
        "numpy": [np.float32(0.5), np.int64(-(2**60)), np.bool_(True), np.str_("naïve")],
        "bytes": b"\x00",
        "none": None,
        "large": 2**100,
    }
    raw = pickle.dumps(Known(value=value), protocol)
    found = pickles.loads(raw, CLASSES, "it").fields["value"]
    assert found == value
    assert [type(each) for each in found["numpy"]] == [float, int, bool, str]


class Calls:
    def __init__(self, *call: Any) -> None:
        self._call = call

    def __reduce__(self) -> Any:
        return self._call


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Refused(), "Refused"),
        (Calls(eval, ("1/0",)), "eval"),
        (Calls(getattr, ("", "join")), "getattr"),
        (collections.OrderedDict(), "OrderedDict"),
        (pickle.dumps(np.zeros(2), 4), "_reconstruct"),
        (pickle.dumps(np.zeros(2), 5), "_frombuffer"),
        (np.datetime64(1, "D"), r"NumPy's .*datetime64"),
        (b"\x80\x02cbuiltins\nbytearray\nJ\x00\x00\x00\x7f\x85R.", "bytearray"),
        (b"\x80\x02cos\nsystem\n\x8c\x02ls\x85R.", "os.system"),
        (b"\x80\x02(S'ls'\nios\nsystem\n.", "os.system"),
        (b"\x80\x04\x8c\x05tests\x8c\x0cx.Known.eval\x93.", "tests.x.Known.eval"),
    ],
)
def test_another_class_is_refused_by_its_name(value: Any, name: str) -> None:
    raw = value if isinstance(value, bytes) else pickle.dumps(value)
    with pytest.raises(StorageError, match=f"^it: it holds .*{name}"):
        pickles.loads(raw, CLASSES, "it")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x80\x04",
        b"\x80\xff.",
        b"\x80\x04r\xff\xff\xff\x7f",  # a memo of two thousand million places
        b"\x80\x04N\x94r\xff\xff\xff\x7f",
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x0fabc.",  # more bytes than there are
        b"\x80\x04\x8d\xff\xff\xff\xff\x0f\x00\x00\x00abc.",
        b"\x80\x05\x96\xff\xff\xff\xff\x0f\x00\x00\x00abc.",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x0f.",
        b"\x80\x04\x8b\xff\xff\xff\x7f1.",
        b"\x80\x04\x82\x01.",  # an extension
        b"\x80\x04N\x51.",  # a persistent id
        b"\x80\x05\x97.",  # a buffer from elsewhere
        b"\x80\x04ctests\nKnown\n}b.",  # fields for a class
        b"\x80\x04ctests\nKnown\n)\x81Nb.",
        b"\x80\x04ctests\nKnown\n)\x81}\x8c\x08__dict__K\x01sb.",
        b"\x80\x04cdatetime\ndate\nK\x01\x85R.",
        b"\x80\x04cuuid\nUUID\n)\x81}\x8c\x03int\x8c\x01xsb.",
        b"\x80\x04cnumpy\ndtype\n\x8c\x01O\x85R.",
        b"\x80\x04cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\n\x8c\x01O\x85R\x8c\x01x\x86R.",
        b"\x80\x04cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\n\x8c\x02f8\x85RC\x01x\x86R.",
    ],
)
def test_damage_is_an_error(raw: bytes) -> None:
    try:
        found = pickles.loads(raw, CLASSES, "it")
    except StorageError as error:
        assert str(error).startswith("it")  # noqa: PT017
    else:
        assert isinstance(found, pickles._Dtype)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_an_error(raw: bytes) -> None:
    try:
        pickles.loads(b"\x80\x04" + raw, CLASSES, "it")
    except StorageError as error:
        assert str(error).startswith("it")  # noqa: PT017


def test_what_is_in_a_million_places_is_refused() -> None:
    value: list[Any] = []
    for _ in range(60):
        value = [value, value]
    found = pickles.loads(pickle.dumps(value), CLASSES, "it")
    with pytest.raises(OversizedError, match=r"^it has more values than metadata has room for"):
        pickles.check_size({"a": ({"b": found},)}, "it")
    value.append(value)
    with pytest.raises(OversizedError):
        pickles.check_size(value, "it")
    pickles.check_size({"a": [1] * 5_000, "b": {"c"}}, "it")


NESTED = b"\x80\x04K\x01K\x01\x86q\x00" + b"".join(b"h%c\x86q%c" % (n, n + 1) for n in range(60))


@pytest.mark.parametrize(
    "raw",
    [
        NESTED + b"qx}hxK\x01s.",
        NESTED + b"qx}(hxK\x01u.",
        NESTED + b"qx(hxK\x01d.",
        NESTED + b"qx\x8f(hx\x90.",
        NESTED + b"qx(hx\x91.",
        NESTED + b"qxcbuiltins\nset\n(]hxatR.",
        NESTED + b"qxcbuiltins\nfrozenset\n(]hxatR.",
    ],
)
def test_what_is_not_hashed_in_a_lifetime_is_refused(raw: bytes) -> None:
    with pytest.raises(StorageError, match="it holds a tuple as a key or in a set"):
        pickles.loads(raw, CLASSES, "it")


@pytest.mark.parametrize(
    "raw",
    [
        b"cnumpy.core.multiarray\nscalar\nN}X\x08\x00\x00\x00__name__X\x01\x00\x00\x00xs\x86b.",
        b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n((K\x01K\x02ttRC\x01xtR.",
    ],
)
def test_nothing_outside_of_the_value_is_changed(raw: bytes) -> None:
    with pytest.raises(StorageError, match="damaged: no pickle"):
        pickles.loads(b"\x80\x04" + raw, CLASSES, "it")
    assert pickles._scalar.__name__ == "_scalar"
