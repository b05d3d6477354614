"""A filter as a tree: tests on properties, joined by AND, OR and NOT.

Every kind of filter becomes such a tree: the dict form (`parse`), expressions made with F
(`builders`), the filters of LangChain and LlamaIndex. `evaluate` defines what it means for a
record, `plan` what of it the service can do. Null and missing are the same, everywhere.

Operands have the form that the layout shows to the service (docs/layout.md): strings, integers of
any size, finite floats, booleans, None, and tuples of those for lists; a date is its ISO 8601
text, an enum its value. `operands` converts them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, NoReturn, TypeAlias, cast, get_args

from vectorize_core.layout import Record

Operator: TypeAlias = Literal[
    "$eq",  # a scalar, None or a tuple (a list, as a whole)
    "$ne",  # NOT $eq: matches a missing property too
    "$gt",  # a string or a number, as the other three ranges
    "$gte",
    "$lt",
    "$lte",
    "$in",  # a tuple of what $eq takes; () is nothing
    "$nin",  # NOT $in; () is everything
    "$exists",  # a bool: present and not null, or not
    "$like",  # a pattern: % any text, _ any character, \ takes the next one literally
    "$ilike",  # the same, in lower case on both sides
    "$contains",  # a scalar, None or a tuple: an item of a list; a string: a part of a string too
]
OPERATORS: Final[tuple[Operator, ...]] = get_args(Operator)


class _Combinable:
    """``&``, ``|`` and ``~``. It has no truth value, so ``and``, ``or`` and ``not`` raise."""

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

    The path ``a.b`` is the property named ``a.b`` if there is one, else ``b`` inside ``a``.
    """

    __test__ = False  # pytest would collect a class of this name

    path: str
    operator: Operator
    operand: Any

    # 1 == True in Python, but as operands they are different filters.
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
    """``parts`` under one AND or OR: parts of the same kind are merged, one part stays as it is."""
    flat: list[Expression] = []
    for part in parts:
        flat += part.parts if isinstance(part, kind) else (part,)
    return flat[0] if len(flat) == 1 else kind(tuple(flat))
