"""Sets of documents and of queries, each of which is labelled with the document that answers it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, Self

DATA: Final = Path(__file__).parent / "data"
SETS: Final = {
    "questions": "{} questions, {:,} sections",
    "answers": "the same {} questions, among nothing but the {:,} answers",
    "verses": "{} verses in other words, {:,} verses",
    "names": "{} names and error codes, {:,} entries",
}
"""What each set is, with the numbers of its queries and of its documents."""


class Query(NamedTuple):
    """What is asked, and the id of the document that answers it."""

    text: str
    answer: str
    kind: str = ""
    """What sort of query it is, such as "bare names", where a set has several."""


@dataclass(slots=True)
class LabelledSet:
    """Texts by their ids, and what is asked of them."""

    name: str
    documents: dict[str, str] = field(default_factory=dict)
    queries: list[Query] = field(default_factory=list)

    def kinds(self) -> Iterator[tuple[str, list[int]]]:
        """Each kind of query with the places of its queries, if there are several kinds."""
        kinds = list(dict.fromkeys(query.kind for query in self.queries))
        for kind in kinds if len(kinds) > 1 else []:
            yield kind, [n for n, query in enumerate(self.queries) if query.kind == kind]

    def save(self, directory: Path = DATA) -> Path:
        """Write packed lines of JSON, ``[id, text]`` and ``[null, query, answer, kind]``."""
        lines: list[tuple[str | None, ...]] = list(self.documents.items())
        lines += [(None, *query) for query in self.queries]
        path = directory / f"{self.name}.jsonl.gz"
        text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
        # Without the time, so that the same set is the same file.
        path.write_bytes(gzip.compress(text.encode(), mtime=0))
        return path

    @classmethod
    def load(cls, name: str, directory: Path = DATA) -> Self:
        """Read what `save` has written; "answers" is a part of "questions"."""
        if name == "answers":
            whole = cls.load("questions", directory)
            right = {query.answer: whole.documents[query.answer] for query in whole.queries}
            return cls(name, right, whole.queries)
        found = cls(name)
        with gzip.open(directory / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
            for key, text, *label in map(json.loads, lines):
                if label:
                    found.queries.append(Query(text, *label))
                else:
                    found.documents[key] = text
        return found
