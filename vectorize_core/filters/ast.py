"""What a filter is, once it has been read: tests on properties, joined by AND, OR and NOT.

Every filter of this project becomes one of these: the dict form (`parse`), expressions made with F
(`builders`), the filters of LangChain and LlamaIndex. `evaluate` says what they mean on a decoded
record, `plan` what of them the service can do. Null means the same as missing, everywhere.

Operands are in the form in which the layout shows values to the service (docs/layout.md): strings,
integers of any size, finite floats, booleans, None, and tuples of those for lists; a date is its
ISO 8601 text, an enum its value. `operands` makes them so.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, NoReturn, TypeAlias, cast, get_args

from vectorize_core.layout import Record

Operator: TypeAlias = Literal[
    "$eq",  # a scalar, None or a tuple (a list, as a whole)
    "$ne",  # NOT $eq: also where the property is missing
    "$gt",  # a string or a number, as the other three ranges
    "$gte",
    "$lt",
    "$lte",
    "$in",  # a tuple of what $eq takes; () is nothing
    "$nin",  # NOT $in; () is everything
    "$exists",  # a bool: present and not null, or not
    "$like",  # a pattern: % any text, _ any character, \ takes the next one literally
    "$ilike",  # the same, in lower case on both sides
    "$contains",  # a scalar, None or a tuple: an item of a list; a string: also a part of a string
]
OPERATORS: Final[tuple[Operator, ...]] = get_args(Operator)


class _Combinable:
    """``&``, ``|`` and ``~``; no truth value, which ``and``, ``or`` and ``not`` would ask for."""

    __slots__ = ()

    def __and__(self, other: "Expression") -> "Expression":
        if not isinstance(other, Expression):
            return NotImplemented
        return joined(And, (cast("Expression", self), other))

    def __or__(self, other: "Expression") -> "Expression":
        if not isinstance(other, Expression):
            return NotImplemented
        return joined(Or, (cast("Expression", self), other))

    def __invert__(self) -> "Expression":
        return Not(cast("Expression", self))

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "a filter expression has no truth value. Join expressions with & and |, negate them "
            "with ~, each in parentheses: (F('a') == 1) & ~(F('b') > 2). Write 1 < F('x') < 3 as "
            "(F('x') > 1) & (F('x') < 3), or F('x').between(1, 3), which includes both ends"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Test(_Combinable):
    """One operator on one property.

    The path ``a.b`` is the property of that very name if the metadata has one, else the property
    ``b`` of the property ``a``.
    """

    __test__ = False  # pytest would collect a class of this name

    path: str
    operator: Operator
    operand: Any

    # The operands 1 and True are equal in Python, and not the same filter.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Test) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))


@dataclass(frozen=True, slots=True)
class And(_Combinable):
    """All parts hold; without parts, everything."""

    parts: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Or(_Combinable):
    """At least one part holds; without parts, nothing."""

    parts: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Not(_Combinable):
    """The part does not hold."""

    part: "Expression"


@dataclass(frozen=True, slots=True)
class Where(_Combinable):
    """A function of the whole decoded record, text and id included; never sent to the service."""

    predicate: Callable[[Record], bool]
    description: str = "a function"


Expression: TypeAlias = Test | And | Or | Not | Where
EVERYTHING: Final = And(())
NOTHING: Final = Or(())


def joined(kind: type[And | Or], parts: Iterable[Expression]) -> Expression:
    """``parts`` under one AND or OR; those of the same kind dissolve in it, one alone is itself."""
    flat: list[Expression] = []
    for part in parts:
        flat += part.parts if isinstance(part, kind) else (part,)
    return flat[0] if len(flat) == 1 else kind(tuple(flat))
