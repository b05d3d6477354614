"""What D1 has: functions, pragmas and virtual tables. Everything else is refused, known or not.

Read off workerd, Cloudflare's runtime, by asking its D1 for each; only what it accepts stands here.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Collection, Iterable
from typing import Final

_FUNCTIONS: Final = """
    abs changes char coalesce concat concat_ws format glob hex ifnull iif instr last_insert_rowid
    length like likelihood likely lower ltrim max min nullif octet_length printf quote random
    randomblob replace round rtrim sign substr substring total_changes trim typeof unhex unicode
    unlikely upper zeroblob

    current_date current_time current_timestamp date datetime julianday strftime time timediff
    unixepoch

    avg count group_concat string_agg sum total
    cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank
    row_number

    acos acosh asin asinh atan atan2 atanh ceil cos cosh degrees exp floor ln log log2 mod pi pow
    radians sin sinh sqrt tan tanh trunc

    -> ->> json json_array json_array_length json_extract json_group_array json_group_object
    json_insert json_object json_patch json_quote json_remove json_replace json_set json_type
    json_valid jsonb jsonb_array jsonb_extract jsonb_group_array jsonb_group_object jsonb_insert
    jsonb_object jsonb_patch jsonb_remove jsonb_replace jsonb_set

    bm25 highlight match snippet
"""
_OF_ALTER_TABLE: Final = """
    sqlite_drop_column sqlite_rename_column sqlite_rename_quotefix sqlite_rename_table
    sqlite_rename_test
"""
"""SQLite uses them in ALTER TABLE, and refuses them to others."""
FUNCTIONS: Final = frozenset((_FUNCTIONS + _OF_ALTER_TABLE).split())
MAX_LENGTH: Final = 2_200_000
"""Of a value: D1's 2 MB and what belongs to its row, as workerd has it."""
_LONGEST: Final = {
    # Its time is the product of the sizes of its arguments.
    **dict.fromkeys(("json_patch", "jsonb_patch"), 100_000),
    # They make what a path names by recursion: a path of 120 KB takes more than the whole stack.
    **dict.fromkeys(("json_insert", "json_set", "jsonb_insert", "jsonb_set"), 40_000),
    # Its time is the square of how often a text has the words.
    "snippet": 10_000,
}
"""Of a value in a statement with one of these functions, which nothing interrupts."""
HEAVY: Final = frozenset(
    (*("format", "glob", "like", "ltrim", "printf", "rtrim", "trim", "unhex"), *_LONGEST)
)
"""These take up to a fifth of a second, in one step; others less than a tenth of that."""
_CALLS: Final = 20.0
"""Of heavy functions in a statement, or ten times as many of others, with values of any length."""
_HEAVY_WORD: Final = re.compile(rf"\b(?:{'|'.join(HEAVY)})\b")
MODULES: Final = frozenset(("fts5", "fts5vocab"))
"""Of which virtual tables can be made."""
TABLE_FUNCTIONS: Final = frozenset(("json_each", "json_tree"))
"""Virtual tables that are there without being made."""
_NEWER: Final = frozenset(("jsonb_each", "jsonb_tree"))
"""More of them, from SQLite 3.51 on, which lists them only once they are used."""
_BOOLEAN: Final = re.compile("true|false|yes|no|on|off|[01]", re.IGNORECASE)
_NAME: Final = re.compile(".+", re.DOTALL)
_NAME_OR_NOTHING: Final = re.compile(".*", re.DOTALL)
_NOTHING: Final = re.compile("")
_SWITCH: Final = re.compile(f"|{_BOOLEAN.pattern}", re.IGNORECASE)
SWITCHES: Final = (
    *("case_sensitive_like", "ignore_check_constraints", "legacy_alter_table"),
    *("recursive_triggers", "reverse_unordered_selects"),
)
"""Pragmas that would outlive a request, and are off at the beginning of each."""
PRAGMAS: Final = {
    "data_version": _NOTHING,
    "defer_foreign_keys": _SWITCH,
    "foreign_keys": _SWITCH,
    **dict.fromkeys(SWITCHES, _SWITCH),
    "foreign_key_check": _NAME_OR_NOTHING,
    "foreign_key_list": _NAME,
    "index_info": _NAME,
    "index_list": _NAME,
    "index_xinfo": _NAME,
    "optimize": re.compile("|-?[0-9]+"),
    "quick_check": _NAME_OR_NOTHING,
    "table_info": _NAME,
    "table_list": _NAME_OR_NOTHING,
    "table_xinfo": _NAME,
}
"""And what their arguments may be."""

_PLAIN: Final = frozenset((sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE))
_READING: Final = frozenset((sqlite3.SQLITE_ANALYZE, sqlite3.SQLITE_REINDEX))
_CHANGES: Final = (sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE)
_WRITING: Final = frozenset(
    (
        *(*_CHANGES, sqlite3.SQLITE_DELETE, sqlite3.SQLITE_CREATE_TABLE, sqlite3.SQLITE_DROP_TABLE),
        *(sqlite3.SQLITE_CREATE_VIEW, sqlite3.SQLITE_DROP_VIEW),
    )
)
_ON_TWO_NAMES: Final = frozenset(
    (
        *(sqlite3.SQLITE_CREATE_INDEX, sqlite3.SQLITE_DROP_INDEX),
        *(sqlite3.SQLITE_CREATE_TRIGGER, sqlite3.SQLITE_DROP_TRIGGER, sqlite3.SQLITE_ALTER_TABLE),
    )
)
_ON_VIRTUAL_TABLES: Final = frozenset((sqlite3.SQLITE_CREATE_VTABLE, sqlite3.SQLITE_DROP_VTABLE))
_RESERVED: Final = re.compile("_cf_", re.IGNORECASE)
_STATISTICS: Final = re.compile("sqlite_stat(?!1$)", re.IGNORECASE)
"""Tables whose blobs SQLite believes."""
_OWN: Final = "data|idx|content|docsize|config"
_SHADOW: Final = re.compile(f"(.+)_({_OWN})", re.DOTALL)
"""The tables in which FTS5 keeps a virtual table."""


class Authorizer:
    """What SQLite asks about one statement, and about those that it makes of it.

    ``modules`` are those that this SQLite has. ``virtual`` are the names of virtual tables, in
    lower case, whose own tables a statement must not write to. ``held`` are those of them of which
    FTS5 may hold words that it has yet to write. ``on_heavy`` is called whenever a heavy function
    is used, and whenever `longest` becomes less.
    """

    def __init__(
        self,
        modules: Collection[str],
        virtual: Collection[str] = (),
        held: Iterable[str] = (),
        on_heavy: Callable[[], object] = lambda: None,
    ) -> None:
        self._refused_tables = (_NEWER | frozenset(modules)) - TABLE_FUNCTIONS - MODULES
        self._virtual = virtual
        self._on_heavy = on_heavy
        self._calls = 0.0
        self.longest = MAX_LENGTH
        """Of a value, so that what is carried out in one step ends soon."""
        self.written = set(held)
        """Names of tables, in lower case, that were allowed to be written to, and of ``held``."""
        self.set_switch = False
        """Whether one of `SWITCHES` was set."""

    def __call__(
        self,
        action: int,
        first: str | None,
        second: str | None,
        schema: str | None,
        trigger: str | None,
    ) -> int:
        """Whether SQLite may do this, as it asks."""
        allowed = self._is_allowed(action, first or "", second or "", schema, trigger)
        return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY

    def note_schema(self, definitions: Iterable[str]) -> None:
        """Functions in definitions of tables and indexes, for which SQLite does not ask again."""
        # First all of them, for what is noted bounds what can be read.
        for name in [name for sql in definitions for name in _HEAVY_WORD.findall(sql.lower())]:
            self._note_function(name)

    def _note_function(self, name: str) -> None:
        is_heavy, before = name in HEAVY, self.longest
        self._calls += 1 if is_heavy else 0.1
        of_all = int(MAX_LENGTH * min(1.0, _CALLS / self._calls))
        self.longest = min(before, of_all, _LONGEST.get(name, MAX_LENGTH))
        if is_heavy or self.longest < before:
            self._on_heavy()

    def _is_allowed(
        self, action: int, first: str, second: str, schema: str | None, trigger: str | None
    ) -> bool:
        if action in _PLAIN:
            return True
        if action == sqlite3.SQLITE_FUNCTION:
            self._note_function(second.lower())
            return second.lower() in FUNCTIONS
        if action == sqlite3.SQLITE_ALTER_TABLE:
            # Where others have the schema, it may have the name of a column.
            schema = first
        if schema == "temp":
            # Nothing temporary can be made, but ALTER TABLE looks for it in the empty list of it.
            return action in (sqlite3.SQLITE_READ, sqlite3.SQLITE_UPDATE)
        if schema not in (None, "main"):
            return False
        if action == sqlite3.SQLITE_PRAGMA:
            return self._is_allowed_pragma(first.lower(), second)
        if _RESERVED.match(first) or (action in _ON_TWO_NAMES and _RESERVED.match(second)):
            return False
        if action in _ON_VIRTUAL_TABLES:
            self.written.add(first.lower())
            return second.lower() in MODULES
        if action in _ON_TWO_NAMES:
            # The name of a table is the second one, also in ALTER TABLE.
            return self._may_write(second.lower(), trigger)
        if action == sqlite3.SQLITE_READ:
            return self._is_allowed_table(first.lower())
        if action in _CHANGES and _STATISTICS.match(first):
            return False
        return action in _READING or (
            action in _WRITING and self._may_write(first.lower(), trigger)
        )

    def _is_allowed_table(self, name: str) -> bool:
        if name.startswith("pragma_"):
            return name.removeprefix("pragma_") in PRAGMAS
        return name not in self._refused_tables

    def _is_allowed_pragma(self, name: str, argument: str) -> bool:
        allowed = PRAGMAS.get(name)
        if allowed is None or not allowed.fullmatch(argument) or _RESERVED.match(argument):
            return False
        self.set_switch |= name in SWITCHES and bool(argument)
        return True

    def _may_write(self, name: str, trigger: str | None) -> bool:
        shadow = _SHADOW.fullmatch(name)
        if shadow is None or shadow[1] not in self._virtual:
            self.written.add(name)
            return True
        # FTS5 itself does, but only after a statement was allowed to write to its table.
        return trigger is None and shadow[1] in self.written


def names_own_table(sql: str, name: str) -> bool:
    """Whether ``sql`` may name a table in which FTS5 keeps the virtual table ``name``."""
    return re.search(rf"{re.escape(_bare(name))}_({_OWN})", _bare(sql)) is not None


def _bare(sql: str) -> str:
    """Without the quotes that stand twice in a name that has them, and without upper case."""
    return re.sub("[\"'`]", "", sql).casefold()
