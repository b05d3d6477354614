"""What a record of ours looks like inside a vector's metadata.

Frozen: docs/layout.md is its description, and vectors are not rewritten when this module changes.
Metadata that JSON can say stands at top level under its own name, the text under ``text_key``, so
that a Worker or LangChain.js reads it. All else is in the one value ``_vs``, a JSON text.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

from vectorize_core import jsontext
from vectorize_core.api.validation import storable_key
from vectorize_core.errors import (
    At,
    InvalidInputError,
    InvalidVectorError,
    MissingTextError,
    UnreadableRecordError,
    key_in_words,
)
from vectorize_core.layout import nested, value_codec
from vectorize_core.layout.names import BUCKET, DEFAULT_TEXT_KEY, EXTRA, OWN, REF
from vectorize_core.layout.nearest import UnstorableError
from vectorize_core.layout.value_codec import is_plain
from vectorize_core.models import Match, Vector

VERSION: Final = 1
_PLAIN: Final = frozenset((str, int, float, bool))
_FLAT: Final = _PLAIN | {type(None)}
BUCKETS: Final = 1 << 20
SAME: Final = True
"""Stands in a node for what would be repeated: its metadata, or the keys hidden from the model."""

NOTHING_MORE: Final = f'{{"v":{VERSION}}}'
_REF_BYTES = 60
_DIGEST = "blake2b:"
_TENANT = b"vectorize tenant"
_TEXT_NAME = re.compile(r"[A-Za-z0-9-]{1,68}")


# Not frozen: to make one would take five times as long.
@dataclass(slots=True)
class Record:
    """A text with its metadata: a LangChain document, a LlamaIndex node.

    ``text`` is None where a foreign vector has none, or where it is elsewhere: under ``text_name``
    in a store of texts. ``node`` is what LlamaIndex needs beyond text and metadata, as JSON.
    ``ref`` names the source document. ``public_id`` is what a tenant calls the record, where it is
    stored under another id. ``read_ref`` is the `ref_value` that a record was read with.
    """

    id: str
    text: str | None
    metadata: dict[str, Any] = field(default_factory=dict)
    node: Mapping[str, Any] | None = None
    ref: str | None = None
    text_name: str | None = None
    public_id: str | None = None
    read_ref: str | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """What its owner calls the record."""
        return self.public_id if self.public_id is not None else self.id


def stored_id(namespace: str, public_id: str) -> str:
    """The id that a tenant's record is stored under: a digest of both. For ever.

    No tenant can name an id that is another's, and no record of a store without tenants is in the
    way but by intention.
    """
    key = namespace.encode()
    digest = blake2b(public_id.encode(), digest_size=24, key=key, person=_TENANT)
    return digest.hexdigest()


def of_tenant(record: Record, namespace: str) -> Record:
    """A record as a tenant stores it."""
    return replace(record, id=stored_id(namespace, record.id), public_id=record.id)


def bucket(vector_id: str) -> int:
    """The bucket of an id: the top 20 bits of blake2b of its UTF-8. For ever."""
    return int.from_bytes(blake2b(vector_id.encode()).digest()) >> 492


def ref_value(ref: str) -> str:
    """``ref`` as ``_vs_ref`` holds it: itself, or beyond 60 bytes an equally distinct digest.

    A metadata index compares the first 64 bytes only, so a long name would match others. So it is
    with a name that is no valid Unicode, which no record has, but may be asked for.
    """
    raw = ref.encode("utf-8", "surrogatepass")
    is_text = ref.isascii() or not jsontext.has_lone_surrogate(ref)
    if is_text and len(raw) <= _REF_BYTES and not ref.startswith(_DIGEST):
        return ref
    return f"{_DIGEST}{blake2b(raw, digest_size=24).hexdigest()}"


def encode(
    record: Record,
    *,
    text_key: str = DEFAULT_TEXT_KEY,
    indexed: Collection[str] = (),
    at: At | None = None,
) -> dict[str, Any]:
    """The metadata of ``record``'s vector.

    With ``_vs_bucket``, ``_vs_own`` and ``_vs_ref`` where ``indexed`` has them. Raises
    `InvalidVectorError` naming the record (as ``at``, if given),
    the metadata key and the type of a value that cannot be stored.
    """
    extra: dict[str, Any] = {"v": VERSION}
    flat = text_key == DEFAULT_TEXT_KEY and _stands_as_it_is(record.metadata)
    if flat:
        stored = dict(record.metadata)
    else:
        at = at if at is not None else At(record.name, kind="record")
        stored = _encode_metadata(at, record.metadata, text_key, extra)
    if record.node is not None:
        at = at if at is not None else At(record.name, kind="record")
        with _naming(at, "the node"):
            extra["n"] = _not_too_deep(value_codec.tagged(record.node))
    if record.public_id is not None:
        extra["id"] = record.public_id
    if record.text_name is not None:
        extra["x"] = record.text_name
    elif record.text is not None:
        stored[text_key] = record.text
    if not flat:
        show(stored, extra, record.metadata, indexed, text_key)
    stored[EXTRA] = jsontext.dumps(extra).decode() if len(extra) > 1 else NOTHING_MORE
    # Where the index has none for them, these would take room for nothing.
    if BUCKET in indexed:
        stored[BUCKET] = bucket(record.id)
    if OWN in indexed:
        stored[OWN] = True
    if REF in indexed and record.ref is not None:
        stored[REF] = ref_value(record.ref)
    return stored


def _encode_metadata(
    at: At, metadata: Mapping[Any, Any], text_key: str, extra: dict[str, Any]
) -> dict[str, Any]:
    """What stands at top level; adds to ``extra`` what does not."""
    stored: dict[str, Any] = {}
    types: dict[str, str] = {}
    members: list[list[Any]] = []
    for given, value in metadata.items():
        key = given if type(given) is str or not isinstance(given, str) else jsontext.plain(given)
        takes = type(key) is str and key != text_key and _storable(key)
        if takes and type(value) in _FLAT and is_plain(value):
            # Most values are like that.
            stored[key] = value
            continue
        with _naming(at, "metadata", key):
            if not takes:
                members.append([value_codec.tagged(key), _not_too_deep(value_codec.tagged(value))])
                continue
            shown, hint, exact = value_codec.split(value)
            if shown is not value_codec.NOTHING:
                stored[key] = _not_too_deep(shown)
            if hint is not None:
                types[key] = hint
            if exact is not None:
                members.append([key, _not_too_deep(exact)])
    if text_key != DEFAULT_TEXT_KEY:
        extra["t"] = text_key
    if types:
        extra["y"] = types
    if members:
        extra["m"] = members
    return stored


def show(
    stored: dict[str, Any],
    extra: dict[str, Any],
    metadata: Mapping[str, Any],
    indexed: Collection[str],
    text_key: str,
) -> None:
    """Show at top level what metadata indexes on paths with dots are to hold and cannot see there.

    What stands there otherwise is noted in ``extra``; None if it is nothing.
    """
    shown = nested.to_show(metadata, stored, indexed, text_key)
    if shown:
        extra["s"] = {name: stored.get(name) for name in shown}
        stored |= shown


def unshow(stored: dict[str, Any], extra: dict[str, Any]) -> None:
    """As before `show`."""
    instead = extra.pop("s", None)
    for name, value in instead.items() if isinstance(instead, dict) else ():
        if value is None:
            stored.pop(name, None)
        else:
            stored[name] = value


def _stands_as_it_is(metadata: Mapping[Any, Any]) -> bool:
    """Whether all of it is flat, plain and under keys that can be stored, as most metadata is."""
    if not _are_storable(*metadata):
        return False
    for value in metadata.values():
        kind = type(value)
        if not (kind is str and value.isascii()) and not (kind in _PLAIN and is_plain(value)):
            return False
    return True


@contextmanager
def _naming(at: At, part: str, *keys: Any) -> Iterator[None]:
    """Errors that name the record, and the part of it that cannot be stored."""
    try:
        yield
    except UnstorableError as error:
        found = str(error)
    except RecursionError:
        found = "a value that is nested too deep, or that contains itself"
    else:
        return
    raise InvalidVectorError(f"{at}: {part}{''.join(map(key_in_words, keys))} has {found}")


def _not_too_deep(encoded: Any) -> Any:
    found = None if type(encoded) in _FLAT else jsontext.problem(encoded)
    if found:
        raise UnstorableError(found)
    return encoded


def decode(
    vector_id: str,
    metadata: Mapping[str, Any] | None,
    *,
    text_key: str = DEFAULT_TEXT_KEY,
    any_version: bool = False,
) -> Record:
    """The record in a vector's metadata; a vector without ``_vs`` is read as it is.

    So is what another client has changed and left without a meaning: one record never breaks a
    read. Only one of a newer layout is an `UnreadableRecordError`. With ``any_version`` it is read
    as far as it is understood, for who asks for names only.
    """
    if type(metadata) is dict and metadata.get(EXTRA) == NOTHING_MORE:
        # Most are like that.
        values = _own(metadata)
        text = _as_text(values.pop(DEFAULT_TEXT_KEY, None))
        return Record(vector_id, text, values, read_ref=text_or_none(metadata.get(REF)))
    stored = dict(metadata) if isinstance(metadata, Mapping) else {}
    extra = read_extra(vector_id, stored.get(EXTRA), any_version=any_version)
    if extra is None:
        has_text = isinstance(stored.get(text_key), str)
        return Record(vector_id, stored.pop(text_key) if has_text else None, stored)
    unshow(stored, extra)
    text_key = text_key_of(extra, text_key)
    text = _as_text(stored.pop(text_key, None))
    values = _own(stored)
    _restore(values, extra, text_key)
    node = value_codec.untagged(extra.get("n"))
    text_name = text_or_none(extra.get("x"))
    return Record(
        vector_id,
        text,
        values,
        node=node if isinstance(node, dict) else None,
        read_ref=text_or_none(stored.get(REF)),
        text_name=text_name if text_name and _TEXT_NAME.fullmatch(text_name) else None,
        public_id=text_or_none(extra.get("id")) or None,
    )


def _restore(values: dict[Any, Any], extra: Mapping[str, Any], text_key: str) -> None:
    """Give metadata the types and the keys that it had before it was encoded."""
    hints = extra.get("y")
    for key, hint in hints.items() if isinstance(hints, dict) else ():
        if key in values:
            values[key] = value_codec.restore(hint, values[key])
        elif hint == "none" and key != text_key and _storable(key):
            values[key] = None
    members = extra.get("m")
    for member in members if isinstance(members, list) else ():
        if isinstance(member, list) and len(member) == 2:
            # Without a key that a dict can have, there is nothing to call the value.
            with suppress(TypeError):
                values[value_codec.untagged(member[0])] = value_codec.untagged(member[1])


def text_name_of(vector: Match | Vector) -> str | None:
    """What the text of a record outside its vector is called; None if it is inside, or nowhere."""
    raw = (vector.metadata or {}).get(EXTRA)
    if raw is None or raw == NOTHING_MORE:
        return None
    return decode(vector.id, {EXTRA: raw}, any_version=True).text_name


def text_key_of(extra: Mapping[str, Any], otherwise: str = DEFAULT_TEXT_KEY) -> str:
    """Where the text of a record stands."""
    named = extra.get("t", DEFAULT_TEXT_KEY)
    return named if isinstance(named, str) and not named.startswith(EXTRA) else otherwise


@dataclass(frozen=True, slots=True)
class RecordReader:
    """Reads the records of a store, whose texts stand under ``text_key``.

    The reader of a tenant's view (``bound``) gives records the ids that the tenant knows.
    """

    text_key: str = DEFAULT_TEXT_KEY
    bound: bool = False

    def read(self, vector: Match | Vector) -> Record:
        """The record that a vector's metadata holds, with its text if that is in there."""
        try:
            record = decode(vector.id, vector.metadata, text_key=self.text_key)
        except UnreadableRecordError:
            # Once more, for its error names the record as its owner does.
            record = decode(self.name(vector), vector.metadata, text_key=self.text_key)
        return replace(record, id=record.name) if self.bound else record

    def name(self, vector: Match | Vector) -> str:
        """The id of `read`, of any record."""
        if not self.bound:
            return vector.id
        return decode(vector.id, vector.metadata, any_version=True).name


def text_of(record: Record) -> str:
    """The text of a record, empty for a node that has none.

    `MissingTextError` naming the keys that there are if there should be one.
    """
    if record.text is None and record.node is not None and record.text_name is None:
        return ""
    if record.text is None:
        raise MissingTextError(
            f"vector {record.id!r} has no text; its metadata has the keys "
            f"{sorted(map(str, record.metadata))}. If one of them holds the text, a string, name "
            "it with text_key=; to read it without, on_missing_text='empty'"
        )
    return record.text


def pack_relationships(relationships: Mapping[str, Any], metadata: Any) -> dict[str, Any]:
    """The relationships of a node's JSON, as they stand under ``relationships``."""

    def pack(related: dict[str, Any]) -> dict[str, Any]:
        packed: dict[str, Any] = {"id": related["node_id"]}
        if related.get("node_type") is not None:
            packed["type"] = related["node_type"]
        if related.get("hash") is not None:
            packed["hash"] = related["hash"]
        if related.get("metadata"):
            # Chunks usually repeat their document's metadata, once for each neighbour.
            # Compared as texts, because 1 == True == 1.0, and because the order matters.
            same = repr(related["metadata"]) == repr(metadata)
            packed["metadata"] = SAME if same else related["metadata"]
        return packed

    return {
        str(getattr(kind, "value", kind)): [pack(one) for one in related]
        if isinstance(related, list)
        else pack(related)
        for kind, related in relationships.items()
    }


def read_order(metadata: Mapping[Any, Any], text_key: str) -> list[Any]:
    """The keys in the order in which a record is read: those not stored at top level come last.

    Prompts, embeddings and hashes of nodes depend on the order.
    """

    def place(key: Any, value: Any) -> int:
        if type(key) is not str or not storable_key(key) or key.startswith(EXTRA):
            return 2
        if key == text_key:
            return 2
        if value is None:
            return 1
        # Strings first: most values are.
        top = type(value) is str or value_codec.split(value)[0] is not value_codec.NOTHING
        return 0 if top else 2

    try:
        places = {key: place(key, value) for key, value in metadata.items()}
    except (UnstorableError, RecursionError):
        return list(metadata)  # Writing it raises an error that names the record.
    return sorted(places, key=places.__getitem__)


def check_text_key(text_key: str) -> str:
    """A key that a text can stand under."""
    if not isinstance(text_key, str) or not storable_key(text_key) or text_key.startswith(EXTRA):
        raise InvalidInputError(
            f"text_key={text_key!r} cannot hold the text: it must be a metadata key that "
            f"Vectorize takes and must not start with {EXTRA!r}"
        )
    return jsontext.plain(text_key)


@lru_cache(maxsize=4_096)
def _storable(key: str) -> bool:
    return storable_key(key) and not jsontext.has_lone_surrogate(key) and not key.startswith(EXTRA)


# By their types too, since a key of another class of texts is equal to that text.
@lru_cache(maxsize=4_096, typed=True)
def _are_storable(*keys: Any) -> bool:
    """Whether metadata may have all of these keys, beside a text under its usual one."""
    return all(type(key) is str and key != DEFAULT_TEXT_KEY and _storable(key) for key in keys)


def _own(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The user's metadata among that of a vector."""
    return {key: stored[key] for key in _own_keys(tuple(stored))}


@lru_cache(maxsize=4_096)
def _own_keys(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Those that are not of the layout."""
    return tuple([key for key in keys if not key.startswith(EXTRA)])


def text_or_none(value: Any) -> str | None:
    """A value that may be any, if it is a text."""
    return value if isinstance(value, str) else None


def _as_text(value: Any) -> str | None:
    """The text of a record; what another client has put in its place, as JSON."""
    if value is None or isinstance(value, str):
        return value
    try:
        return jsontext.dumps(value).decode()
    except TypeError:  # nested too deep
        return None


def read_extra(vector_id: str, raw: Any, *, any_version: bool = False) -> dict[str, Any] | None:
    """What ``_vs`` holds; None if that is not ours. `UnreadableRecordError` of a newer layout."""
    if raw == NOTHING_MORE:
        return {"v": VERSION}
    try:
        extra = jsontext.loads(raw)
    except (TypeError, ValueError):
        return None
    if not isinstance(extra, dict) or type(extra.get("v")) is not int:
        return None
    if extra["v"] > VERSION and not any_version:
        raise UnreadableRecordError(
            f"vector {vector_id!r} was written in layout {extra['v']}; this version of "
            f"vectorize-stores reads up to {VERSION}. Upgrade it"
        )
    return extra
