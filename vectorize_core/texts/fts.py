"""The SQL of a text index, for FTS5 of SQLite and of Cloudflare D1 alike. Pure.

All that users give is a parameter, and most of it one JSON text: D1 takes a hundred parameters, of
two megabytes each. In the SQL itself stands the name of the table, quoted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from vectorize_core import jsontext
from vectorize_core.api.d1 import Statement, quoted
from vectorize_core.filters.sql import Condition
from vectorize_core.texts.tokens import Asked, Tokenizer, plain, prepared

POSTINGS: Final = 30_000
"""How many records all words together may have of which a question is ranked by, save the rarest.

SQLite looks at every record that has one of the words: of a million records, for a second or more
if the words are ordinary ones.
"""
_IN_NAMESPACE: Final = 200_000
"""Records of a namespace up to which FTS5 leaves out all others. It counts them for its ranking; in
one that has more, others are left out as rows are read, since they are not many times as many."""
_MERGED_AT_ONCE: Final = 8
"""Parts of the index that FTS5 makes one of; each put is one, and each word is looked up in all.
By default they are four, and a row costs a tenth more. A table keeps what it was made with."""
_TOKENIZERS: Final[Mapping[Tokenizer, str]] = {
    "unicode61": "unicode61 remove_diacritics 2",
    "porter": "porter unicode61 remove_diacritics 2",
    "trigram": "trigram",
}
_RANKED: Final = "rank MATCH 'bm25(1.0, 0.0, 0.0)'"
_COUNTED: Final = """
WITH given AS (SELECT ? AS json),
counted AS (
  SELECT w.key AS n, json_extract(w.value, '$[0]') AS phrase, coalesce(
    json_extract(w.value, '$[2]'),
    (SELECT min((SELECT coalesce(sum(v.doc), 0)
                 FROM json_each(t.value) AS s CROSS JOIN {vocabulary} AS v ON v.term = s.value))
     FROM json_each(w.value, '$[1]') AS t)) AS records
  FROM given, json_each(given.json, '$.words') AS w),
kept AS (
  SELECT n, group_concat(phrase, ' OR ') OVER rarest AS expression, records,
    sum(records) OVER rarest AS postings, row_number() OVER rarest AS place
  FROM counted WINDOW rarest AS (ORDER BY records, n ROWS UNBOUNDED PRECEDING)),
chosen AS (SELECT * FROM kept WHERE postings <= {most} OR postings = records)
"""
"""The words of a question, the rarest first, as far as the postings go; always the rarest that
any record has."""
_BITS: Final = 20


class TextRow(NamedTuple):
    """What a text index keeps of a record: its id, namespace and text, and what filters look up."""

    id: str
    namespace: str | None
    text: str
    properties: Mapping[str, Any]


def digest_of(text: str) -> str:
    """What ``put`` begins with, of a text as it was given or as it stands in the index."""
    return blake2b(plain(text).encode(), digest_size=16).hexdigest()


def put_of(text: str, token: str) -> str:
    """The column ``put`` of the row of a text that the write of this token has put."""
    return f"{digest_of(text)}-{token}"


def table_of(index: str) -> str:
    """What the table of an index is called, unless it has another name."""
    # SQLite takes names that differ in case alone for the same one.
    apart = "" if index == index.lower() else f"_{_token(index, 4, 'unicode61')}"
    return f"{index}_words{apart}"


def creation(table: str, index: str, tokenizer: Tokenizer) -> list[Statement]:
    """What makes the tables of an index, unless they are there."""
    name, notes = quoted(table), _notes(table)
    columns = "text, ns, key, id UNINDEXED, m UNINDEXED, put UNINDEXED"
    tokens = _TOKENIZERS[tokenizer]
    made = [
        f"VIRTUAL TABLE IF NOT EXISTS {name} USING fts5({columns}, tokenize = '{tokens}')",
        f"VIRTUAL TABLE IF NOT EXISTS {_vocabulary(table)} USING fts5vocab({name}, row)",
        f"TABLE IF NOT EXISTS {notes} (name TEXT PRIMARY KEY, note TEXT NOT NULL)",
    ]
    note = f"INSERT OR IGNORE INTO {notes} VALUES ('tokenizer', ?), ('index', ?)"  # noqa: S608
    merging = f"INSERT INTO {name} ({name}, rank) VALUES ('automerge', {_MERGED_AT_ONCE})"  # noqa: S608
    return [*((f"CREATE {one}", ()) for one in made), (merging, ()), (note, (tokenizer, index))]


def removal(table: str) -> list[Statement]:
    """What drops the tables, if they are there."""
    names = _vocabulary(table), quoted(table), _notes(table)
    return [(f"DROP TABLE IF EXISTS {name}", ()) for name in names]


def encoded(row: TextRow, token: str, tokenizer: Tokenizer) -> bytes:
    """A row, as `insertion` takes it."""
    return jsontext.dumps(
        [
            *_place(row.id, tokenizer),
            put_of(row.text, token),
            prepared(row.text, tokenizer),
            _namespace(row.namespace, tokenizer),
            jsontext.dumps(row.properties).decode(),
        ]
    )


def insertion(table: str, rows: Sequence[bytes]) -> Statement:
    """Puts rows. If the first one is there already, all are looked for, so that none is twice."""
    name = quoted(table)
    columns = ", ".join(f"json_extract(r.value, '$[{at}]')" for at in range(6))
    first, own = (
        f"EXISTS (SELECT 1 FROM {name} WHERE {_is_put(name, place)})"  # noqa: S608
        for place in ("?", "r.value")
    )
    sql = (
        f"INSERT INTO {name} (key, id, put, text, ns, m) SELECT {columns} "  # noqa: S608
        f"FROM json_each(?) AS r WHERE CASE WHEN {first} THEN NOT {own} ELSE 1 END"
    )
    # As often as it is looked at, since Python 3.12.0 to 3.12.3 warn of numbered parameters.
    place = _json(jsontext.loads(rows[0])[:3])
    return sql, (f"[{b','.join(rows).decode()}]", *[place] * first.count("?"))


def page(table: str, after: int, limit: int) -> Statement:
    """Some rows in order, from one on: the position, id and ``put`` of each."""
    sql = (
        f"SELECT rowid, id, put FROM {quoted(table)} WHERE rowid > CAST(? AS INTEGER) "  # noqa: S608
        "ORDER BY rowid LIMIT CAST(? AS INTEGER)"
    )
    return sql, (str(after), str(limit))


def versions(table: str, ids: Sequence[str], tokenizer: Tokenizer) -> Statement:
    """Of each row of these records the position of its id, its ``put``, and its properties."""
    name = quoted(table)
    sql = (
        f"SELECT r.key, {name}.put, {name}.m FROM json_each(?) AS r CROSS JOIN {name} "  # noqa: S608
        f"WHERE {_is_of(name, 'r.value')}"
    )
    return sql, (_json([_place(one, tokenizer) for one in ids]),)


def deletion(table: str, puts: Sequence[tuple[str, str]], tokenizer: Tokenizer) -> Statement:
    """Deletes rows, by the ids of their records and their ``put``."""
    name = quoted(table)
    sql = (
        f"DELETE FROM {name} WHERE rowid IN (SELECT {name}.rowid "  # noqa: S608
        f"FROM json_each(?) AS r CROSS JOIN {name} WHERE {_is_put(name, 'r.value')})"
    )
    return sql, (_json([[*_place(one, tokenizer), put] for one, put in puts]),)


def search(
    table: str,
    words: Sequence[Asked],
    *,
    namespace: str | None,
    where: Condition | None,
    limit: int,
    offset: int,
    tokenizer: Tokenizer,
    known: Callable[[str], int | None],
) -> Statement:
    """The best rows: id, ``put`` and score.

    Before them a row of how many records have each word, as JSON, and how many the namespace has.
    ``known`` tells these numbers of words and namespaces that need not be counted again.
    """
    name, vocabulary = quoted(table), _vocabulary(table)
    given: dict[str, Any] = {"words": [[w.phrase, w.tokens, known(w.phrase)] for w in words]}
    within, only, in_all = "", "", "NULL"
    parameters: list[str] = []
    if namespace is not None:
        token = _namespace(namespace, tokenizer)
        given["namespace"] = [token, known(token)]
        in_all = (
            "(SELECT coalesce(json_extract(json, '$.namespace[1]'), (SELECT doc FROM "  # noqa: S608
            f"{vocabulary} WHERE term = json_extract(json, '$.namespace[0]')), 0) FROM given)"
        )
        within = (
            f"CASE WHEN {in_all} <= {_IN_NAMESPACE} "  # noqa: S608
            "THEN 'ns:\"' || (SELECT json_extract(json, '$.namespace[0]') FROM given) || '\" AND ' "
            "ELSE '' END || "
        )
        only = " AND +ns = ?"
        parameters.append(token)
    if where is not None:
        only += f" AND ({where.sql})"
        parameters += where.parameters
    sql = (
        f"{_COUNTED.format(vocabulary=vocabulary, most=POSTINGS)}"  # noqa: S608
        "SELECT (SELECT json_group_array(records) FROM (SELECT records FROM counted ORDER BY n)), "
        f"{in_all}, NULL UNION ALL SELECT * FROM (SELECT id, put, -rank FROM {name} "
        f"WHERE {name} MATCH (SELECT {within}'text:(' || expression || ')' FROM chosen "
        f"ORDER BY place DESC LIMIT 1) AND {_RANKED}{only} ORDER BY rank "
        "LIMIT CAST(? AS INTEGER) OFFSET CAST(? AS INTEGER))"
    )
    return sql, (_json(given), *parameters, str(limit), str(offset))


def counted(
    words: Sequence[Asked], namespace: str | None, row: Sequence[Any], tokenizer: Tokenizer
) -> dict[str, int]:
    """What the first row of a `search` says of its words and namespace, as ``known`` has it."""
    records = jsontext.loads(row[0])
    found = {word.phrase: int(n) for word, n in zip(words, records, strict=True)}
    if namespace is not None:
        found[_namespace(namespace, tokenizer)] = int(row[1])
    return found


def counting(table: str, words: Sequence[Asked]) -> Statement:
    """How many records have each word, and whether it is kept."""
    sql = (
        f"{_COUNTED.format(vocabulary=_vocabulary(table), most=POSTINGS)}"  # noqa: S608
        "SELECT records, n IN (SELECT n FROM chosen) FROM counted ORDER BY n"
    )
    return sql, (_json({"words": [[word.phrase, word.tokens] for word in words]}),)


def notes(table: str) -> Statement:
    """All notes, by name."""
    return f"SELECT name, note FROM {_notes(table)}", ()  # noqa: S608


def noting(table: str, name: str, note: str | None) -> Statement:
    """Writes a note, or deletes it."""
    if note is None:
        return f"DELETE FROM {_notes(table)} WHERE name = ?", (name,)  # noqa: S608
    return f"INSERT OR REPLACE INTO {_notes(table)} VALUES (?, ?)", (name, note)  # noqa: S608


def _vocabulary(table: str) -> str:
    return quoted(f"{table}_vocabulary")


def _notes(table: str) -> str:
    return quoted(f"{table}_notes")


def _is_of(name: str, place: str) -> str:
    """Whether a row is of the record that a JSON array begins with."""
    return (
        f"{name} MATCH ('key:\"' || json_extract({place}, '$[0]') || '\"') "
        f"AND {name}.id = json_extract({place}, '$[1]')"
    )


def _is_put(name: str, place: str) -> str:
    """The same, and whether it has been put by that write."""
    return f"{_is_of(name, place)} AND {name}.put = json_extract({place}, '$[2]')"


def _place(record_id: str, tokenizer: Tokenizer) -> list[str]:
    """What FTS5 finds a record by, and its id: as JSON, for SQLite may end a text at a NUL."""
    return [_token(record_id, 8, tokenizer), _json(record_id)]


def _namespace(namespace: str | None, tokenizer: Tokenizer) -> str:
    return "" if namespace is None else _token(namespace, 16, tokenizer)


def _token(name: str, size: int, tokenizer: Tokenizer) -> str:
    """A name as one token: a digest with a last digit, which nothing takes for an ending."""
    digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=size)
    if tokenizer != "trigram":
        return f"{digest.hexdigest()}0"
    # Three characters, for of more it would make several tokens.
    number = int.from_bytes(digest.digest())
    return "".join(chr(0x10000 + (number >> shift * _BITS) % 2**_BITS) for shift in range(3))


def _json(value: Any) -> str:
    return jsontext.dumps(value).decode()
