"""The options of the functions that move records."""

import os
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias, TypedDict

from vectorize_core.filters.plan import Unindexed
from vectorize_core.models import IndexType
from vectorize_core.reads.selection import AnyFilter
from vectorize_core.texts.store import TextStore

OnProgress: TypeAlias = Callable[[int, int | None], None]
"""Called with how many records were moved, and with how many there are, if that is known."""


class MoveOptions(TypedDict, total=False):
    """How records are moved.

    ``texts`` is where long texts are kept, if the index or store does not know it; False leaves
    them out. ``verify`` reads everything once more, and compares what arrived with what was sent.
    ``show_progress`` draws a bar (with tqdm); ``on_progress`` is called with how many records were
    moved, and how many there are or None.
    """

    texts: TextStore | Literal[False] | None
    verify: bool
    show_progress: bool
    on_progress: OnProgress | None


class LeaveOptions(MoveOptions, total=False):
    """Which records leave.

    Those that ``filter`` matches (docs/filters.md), in a ``namespace`` unless None;
    ``unindexed="scan"`` lets all be read to find them.
    """

    filter: AnyFilter | None
    namespace: str | None
    unindexed: Unindexed | None


class ExportOptions(LeaveOptions, total=False):
    """Which records `export_records` writes, and how: all of `LeaveOptions` and `MoveOptions`."""


class ArriveOptions(MoveOptions, total=False):
    """Where records arrive.

    ``create_index`` makes an index that is missing like the one they are from; None: where the
    store would, and embedded. ``metadata_indexes`` are what it has beside those, such as
    ``{"kind": "string"}``; an index that is there must have them. ``resume`` is the path of a file
    in which it is noted how far the move is, so that the same call continues it.
    """

    create_index: bool | None
    metadata_indexes: Mapping[str, IndexType] | None
    resume: str | os.PathLike[str] | None


class ImportOptions(ArriveOptions, total=False):
    """Where `import_records` writes: all into ``namespace``, unless None.

    Then each into its own, or into that of the store. ``resume`` is beside a file of records,
    unless given. The others are those of `ArriveOptions` and `MoveOptions`.
    """

    namespace: str | None


class CopyOptions(LeaveOptions, ArriveOptions, total=False):
    """Which records `copy_records` copies, and where: all into ``to_namespace``, unless None.

    Then each into its own, or into that of the target. ``to_texts`` is where long texts go, if the
    target does not know it. The others are those of `LeaveOptions`, `ArriveOptions` and
    `MoveOptions`.
    """

    to_namespace: str | None
    to_texts: TextStore | None
