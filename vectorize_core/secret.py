"""What must be seen nowhere: no log, error, pickle, or traceback with its variables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Final, Generic, NoReturn, TypeVar, overload

T = TypeVar("T")

SECRETS: Final = ("api_token", "api_key", "token", "account_id", "email", "base_url")
"""Arguments that are hidden until they are checked: a wrong ``base_url`` may hold a password, and a
token may be given in place of the account."""


class Secret(Generic[T]):
    """A value that shows nothing of itself.

    Not a `str`: some of what prints tracebacks looks into those, whatever their ``repr``. What
    needs the value calls `reveal` inside an expression. A variable would show it.
    """

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """The value itself."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret[T]:
        return self


@overload
def hidden(value: None) -> None: ...
@overload
def hidden(value: Any) -> Secret[Any]: ...
def hidden(value: Any) -> Secret[Any] | None:
    """``value`` as a `Secret`, if it is not one already; None stays None."""
    return value if value is None or isinstance(value, Secret) else Secret(value)


def hide(arguments: MutableMapping[str, Any], names: Iterable[str] = SECRETS) -> None:
    """Make a `Secret` of each argument with such a name, so that no frame below shows it."""
    for name in names:
        if name in arguments:
            arguments[name] = hidden(arguments[name])


def revealed(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """``arguments`` as they were given, for a constructor: it hides them, or is not ours."""
    return {
        name: value.reveal() if isinstance(value, Secret) else value
        for name, value in arguments.items()
    }


def is_sendable(value: object) -> bool:
    """Whether a header can carry ``value``. It raises nothing, for its frame shows the value."""
    if not (isinstance(value, str) and value):
        return False
    return value.isascii() and value.isprintable() and " " not in value
