"""Checks of all that is stored, and what is found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from sqlite3 import DatabaseError

from vectorize_core.local import catalog, comparing
from vectorize_core.local.comparing import IndexDamage
from vectorize_core.local.schema import CHECKSUMS
from vectorize_core.local.value_stores import ValueStores
from vectorize_core.local.vectors import VectorRow
from vectorize_core.sqlite.connecting import Connection


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem that was found."""

    index: str | None
    """The name of the index; None if it is a problem of the directory as a whole."""
    problem: str
    lost: tuple[str, ...] = ()
    """The ids of vectors that are lost, which a repair removes from the index; or of those whose
    long texts are."""
    repaired: bool = False
    """Whether the problem was repaired."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The result of a check."""

    vectors: int
    """How many vectors were read and compared with their checksums."""
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether there are no problems, or all were repaired."""
        return all(finding.repaired for finding in self.findings)


def check(tx: Connection, value_stores: ValueStores) -> CheckReport:
    """Read and compare everything; changes nothing."""
    findings = [Finding(None, problem) for problem in database_problems(tx)]
    count = 0
    for index, intact in catalog.unverified(tx):
        if not intact:
            findings.append(Finding(index.name, "the row of the index is damaged"))
            continue
        try:
            damage = comparing.examine(tx, value_stores, index)
        except DatabaseError as error:
            findings.append(Finding(index.name, f"its records cannot be read: {error}"))
            continue
        findings += _index_findings(damage)
        count += index.count
    findings += [*orphans(tx), *_miscounts(tx)]
    findings += [
        Finding(None, f"a row of {table} is damaged")
        for table in ("metadata_indexes", "mutations", "mutation_rows", "unsynced_values")
        for _ in damaged_rows(tx, table)
    ]
    findings += [Finding(None, foreign_file(name)) for name in value_stores.unknown()]
    return CheckReport(count, tuple(findings))


def database_problems(tx: Connection) -> list[str]:
    """What SQLite finds wrong with its file."""
    try:
        return [text for (text,) in tx.execute("PRAGMA integrity_check") if text != "ok"]
    except DatabaseError as error:
        return [f"SQLite cannot read its file: {error}"]


def orphans(tx: Connection) -> list[Finding]:
    """The rows that name an index or a mutation that is not there."""
    try:
        tables = Counter(table for table, *_ in tx.execute("PRAGMA foreign_key_check"))
    except DatabaseError:
        return []  # One of `database_problems`.
    return [
        Finding(None, f"{count} rows of {table} belong to nothing")
        for table, count in tables.items()
    ]


def _miscounts(tx: Connection) -> list[Finding]:
    rows = tx.execute(
        "SELECT name, properties - (SELECT count(*) FROM metadata_indexes WHERE index_id = id) "
        "FROM indexes"
    ).fetchall()
    found = [Finding(n, f"{gone} metadata indexes are gone") for n, gone in rows if gone]
    (indexes,) = tx.execute("SELECT indexes FROM storage").fetchone()
    if indexes != len(rows):
        problem = f"there are {len(rows)} indexes, and there should be {indexes}"
        found.append(Finding(None, problem))
    return found


def damaged_rows(tx: Connection, table: str) -> list[int]:
    """The rows of a table that do not have their checksum."""
    rows = tx.execute(
        f"SELECT rowid FROM {table} WHERE row_checksum <> {CHECKSUMS[table]}"  # noqa: S608
    )
    return [row for (row,) in rows]


def foreign_file(name: str) -> str:
    """What a check says of a file that is not accounted for."""
    return (
        f"the file {name} does not belong to this database, which neither uses nor deletes it. "
        "If it is not of a copy that you want to restore, move it away"
    )


def _index_findings(damage: IndexDamage) -> Iterator[Finding]:
    for problem in damage.problems:
        yield Finding(damage.index.name, problem)
    yield from losses(damage.index.name, [row for row, _ in damage.damaged])
    if damage.wrong_codes:
        yield wrong_codes(damage)


def wrong_codes(damage: IndexDamage, *, repaired: bool = False) -> Finding:
    """What is found of codes, by which no vector is lost, but searches can overlook some."""
    problem = (
        f"the codes of {len(damage.wrong_codes)} vectors are damaged, or of other values. They are "
        "only for faster searches, and can be made again"
    )
    return Finding(damage.index.name, problem, repaired=repaired)


def losses(name: str, rows: Sequence[VectorRow], *, repaired: bool = False) -> Iterator[Finding]:
    """What is found of vectors of an index that are damaged."""
    for what in ("records", "values"):
        lost = tuple(row.id for row in rows if row.intact == (what == "values"))
        if lost:
            problem = f"the {what} of {len(lost)} vectors are damaged or gone"
            yield Finding(name, problem, lost, repaired)
