"""Faults on demand: rules by which requests fail as they may with the real service.

A rule is a JSON object, in a file (`load_faults`) or sent to ``/_/faults`` in a list:

``match``     a part of ``METHOD /path`` that a request must have; "" matches all
``nth``       the first matching request that it applies to, from 1 (1)
``times``     how many matching requests it applies to; null for all that follow (1)
``delay``     seconds to wait first (0)
``status``    the HTTP status of an answer in place of the real one
``code``      the code of that answer (10000)
``message``   its text
``headers``   headers of that answer, such as {"Retry-After": "2"}
``act``       whether the request is carried out although its answer is lost or replaced (false)
``reset``     whether the connection is closed without an answer (false)
``truncate``  how many bytes of the real answer are sent before the connection is closed
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import orjson

from vectorize_core import forks, paths
from vectorize_core.errors import InvalidInputError, shown
from vectorize_core.kwargs import check_names
from vectorize_core.local import faults
from vectorize_core.local.server.parsing import whole

_MOST_SECONDS = 3600.0
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OF_THE_SERVER = ("content-length", "transfer-encoding", "connection")
"""Headers that say where an answer ends: with other values a client would wait for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRule:
    """One fault, and the requests it applies to. Raises ValueError for fields out of range."""

    match: str = ""
    nth: int = 1
    times: int | None = 1
    delay: float = 0.0
    status: int | None = None
    code: int = 10000
    message: str = "injected fault"
    headers: Mapping[str, str] = field(default_factory=dict)
    act: bool = False
    reset: bool = False
    truncate: int | None = None

    def __post_init__(self) -> None:
        for name, right in {
            "match": isinstance(self.match, str),
            "nth": _is_int(self.nth, 1),
            "times": self.times is None or _is_int(self.times, 1),
            "delay": _is_number(self.delay) and 0.0 <= self.delay <= _MOST_SECONDS,
            "status": self.status is None or _is_int(self.status, 200, 599),
            "code": _is_int(self.code, 0),
            "message": isinstance(self.message, str),
            "headers": isinstance(self.headers, Mapping)
            and all(_is_header(name, value) for name, value in self.headers.items()),
            "act": isinstance(self.act, bool),
            "reset": isinstance(self.reset, bool),
            "truncate": self.truncate is None or _is_int(self.truncate, 0),
        }.items():
            if not right:
                raise ValueError(f"{name} cannot be {getattr(self, name)!r:.60}")


class FaultInjector:
    """The rules in force, and how often each has matched."""

    def __init__(self, rules: Sequence[Mapping[str, Any]] = ()) -> None:
        self._lock = forks.lock()
        self._rules: list[FaultRule] = []
        self._matched: list[int] = []
        self.replace(list(rules))

    def replace(self, rules: Any) -> None:
        """Replace all rules, counting requests anew; an empty list removes them."""
        try:
            made = read_rules(rules)
        except InvalidInputError as error:
            raise faults.unparsable_body("faults", str(error)) from None
        with self._lock:
            self._rules, self._matched = made, [0] * len(made)

    def rules(self) -> list[dict[str, Any]]:
        """The rules in force, as `replace` takes them."""
        with self._lock:
            return [asdict(rule) | {"headers": dict(rule.headers)} for rule in self._rules]

    def find(self, request_line: str) -> FaultRule | None:
        """The first rule that applies to a request. Counts it for every rule that it matches."""
        found = None
        with self._lock:
            for position, rule in enumerate(self._rules):
                if rule.match not in request_line:
                    continue
                self._matched[position] += 1
                since = self._matched[position] - rule.nth
                applies = since >= 0 and (rule.times is None or since < rule.times)
                if applies and found is None:
                    found = rule
        return found


def load_faults(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The rules of a JSON file, for ``Settings(faults=...)``.

    `InvalidInputError` if it is no such list, `StorageError` if it cannot be read.
    """
    file = paths.absolute(path, error=InvalidInputError)
    with paths.explained("the rules of faults", file):
        content = Path(file).read_bytes()
    try:
        rules: list[dict[str, Any]] = orjson.loads(content)
        read_rules(rules)
    except orjson.JSONDecodeError as error:
        raise InvalidInputError(f"{file} is no JSON: {error}") from None
    except InvalidInputError as error:
        raise InvalidInputError(f"{file} is no list of rules: {error}") from None
    return rules


def read_rules(rules: Any) -> list[FaultRule]:
    """The rules that a list of JSON objects says. `InvalidInputError` if it is none."""
    if not isinstance(rules, list):
        raise InvalidInputError(f"expected a list of rules, got {shown(rules)}")
    known = [one.name for one in fields(FaultRule)]
    made = []
    for position, rule in enumerate(rules):
        try:
            if not isinstance(rule, Mapping):
                raise TypeError(f"expected an object, got {shown(rule)}")
            check_names("it", rule, known)
            made.append(FaultRule(**{name: whole(value) for name, value in rule.items()}))
        except (TypeError, ValueError) as error:
            raise InvalidInputError(f"the rule at position {position}: {error}") from None
    return made


def _is_int(value: object, least: int, most: float = math.inf) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_header(name: object, value: object) -> bool:
    return (
        isinstance(name, str)
        and _HEADER_NAME.fullmatch(name) is not None
        and name.lower() not in _OF_THE_SERVER
        and isinstance(value, str)
        and value.isascii()
        and value.isprintable()
    )
