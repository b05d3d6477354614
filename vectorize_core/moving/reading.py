"""Reading a file of records: its vectors with their texts, from any record on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Final, TypeVar

from vectorize_core import layout, paths
from vectorize_core.errors import InvalidInputError, MissingTextError
from vectorize_core.models import Vector
from vectorize_core.moving import compression, line, parquet
from vectorize_core.moving.formats import Place
from vectorize_core.moving.parcel import Parcel
from vectorize_core.texts.store import digest_in, text_digest

T = TypeVar("T")
_LONGEST: Final = 1 << 27
"""Bytes of a line; no vector takes so many, and few texts."""
_BOM: Final = b"\xef\xbb\xbf"


def parcels(place: Place, *, texts: bool = True) -> Iterator[Parcel]:
    """The records of a file, with the ``texts`` that stand beside.

    Both files are in the same order; otherwise texts are held until their records come.
    `InvalidInputError` names the line that is none, `MissingTextError` the record whose text is
    not there.
    """
    with paths.explained("the texts beside the records", str(place.texts.path)):
        beside = _Beside(place.texts) if texts and place.texts.path.exists() else None
    for vector in _vectors(place):
        name = layout.text_name_of(vector) if texts else None
        text = None if name is None or beside is None else beside.take(vector.id, name)
        if name is not None and text is None:
            raise MissingTextError(
                f"{place.path}: the text of the record {vector.id!r} does not fit into its vector, "
                f"and is not in {place.texts.path}, where it belongs. Export the records again, or "
                "leave long texts out (texts=False)"
            )
        yield Parcel(vector, text)


class _Beside:
    """The texts of a file beside, which are asked for in their order."""

    def __init__(self, place: Place) -> None:
        self._texts = _texts(place)
        self._held: dict[tuple[str, str], str] = {}

    def take(self, record_id: str, name: str) -> str | None:
        """The text of a record of that name, or None."""
        wanted = record_id, digest_in(name)
        while wanted not in self._held:
            found = next(self._texts, None)
            if found is None:
                return None
            owner, text = found
            self._held[owner, text_digest(text)] = text
        return self._held.pop(wanted)


def _vectors(place: Place) -> Iterator[Vector]:
    if place.is_parquet:
        return _explained(place, parquet.read_vectors(place.path))
    return _explained(place, _lines(place, line.read_vector))


def _texts(place: Place) -> Iterator[tuple[str, str]]:
    if place.is_parquet:
        return _explained(place, parquet.read_texts(place.path))
    return _explained(place, _lines(place, line.read_text))


def _explained(place: Place, records: Iterator[T]) -> Iterator[T]:
    """``records``, and errors that say in which file."""
    with paths.explained("the records", str(place.path)):
        try:
            yield from records
        except InvalidInputError as error:
            raise InvalidInputError(f"{place.path}: {error}") from None


def _lines(place: Place, read: Callable[[bytes], T]) -> Iterator[T]:
    number = 0
    for number, (found, is_whole) in enumerate(_split(place), 1):
        if found.strip():
            try:
                yield read(found)
            except InvalidInputError as error:
                is_cut = not is_whole and not found.endswith(b"}")
                hint = ". It has no end: was the file cut?" if is_cut else ""
                raise InvalidInputError(f"line {number}: {error}{hint}") from None


def _split(place: Place) -> Iterator[tuple[bytes, bool]]:
    """The lines of a file, each with whether it has an end."""
    # One without an end grows part by part: to join them each time would take the square of it.
    parts, length, is_first = list[bytes](), 0, True
    with (
        place.path.open("rb") as file,
        closing(compression.contents(file, place.compression)) as contents,
    ):
        for data in contents:
            *lines, rest = data.split(b"\n")
            if lines:
                lines[0] = b"".join([*parts, lines[0]])
                parts, length = [], 0
            for found in lines:
                yield found.removeprefix(_BOM) if is_first else found, True
                is_first = False
            if rest:
                parts.append(rest)
                length += len(rest)
            if length > _LONGEST:
                raise InvalidInputError(
                    f"a line of more than {_LONGEST:,} bytes: it is no NDJSON, which has a line "
                    "for each vector"
                )
    rest = b"".join(parts)
    if rest:
        yield rest.removeprefix(_BOM) if is_first else rest, False
