"""A process that writes texts to an index until it is done, or killed.

``python -m tests.faults.writer JSON``; the argument holds the fields of `Job`. What it embeds it
notes in a log, and the ids it gets in the end in a file.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from langchain_vectorize import VectorizeVectorStore
from tests.faults.corpus import HashEmbeddings


@dataclass(frozen=True)
class Job:
    """What to write, and where; ``named``: with ids. ``attempt`` goes into the log.

    An attempt that is to be killed embeds so ``many`` batches, and then waits for that.
    """

    base_url: str
    index: str
    total: int
    batch_size: int
    named: bool
    directory: str
    attempt: int = 0
    many: int | None = None

    @property
    def checkpoint(self) -> Path:
        return Path(self.directory, "checkpoint")

    @property
    def log(self) -> Path:
        return Path(self.directory, "embedded")

    @property
    def ids(self) -> Path:
        return Path(self.directory, "ids")

    def texts(self) -> list[str]:
        return [f"text {number}" for number in range(self.total)]

    def encoded(self) -> str:
        return json.dumps(asdict(self))


class LoggedEmbeddings(HashEmbeddings):
    """Appends a line for each text, with the attempt, before its vector can be sent."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._batches = 0

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self._batches += 1
        if self._job.many is not None and self._batches > self._job.many:
            time.sleep(600)
        lines = "".join(f"{self._job.attempt} {text}\n" for text in texts)
        with self._job.log.open("ab", buffering=0) as log:
            # In one go: a process that is killed leaves all of them or none.
            log.write(lines.encode())
        return super().embed_documents(texts)


def main() -> None:
    job = Job(**json.loads(sys.argv[1]))
    with VectorizeVectorStore(
        LoggedEmbeddings(job),
        index_name=job.index,
        base_url=job.base_url,
        batch_size=job.batch_size,
    ) as store:
        given = (f"id-{number}" for number in range(job.total)) if job.named else None
        ids = store.add_texts(iter(job.texts()), ids=given, resume=job.checkpoint)
    job.ids.write_text(json.dumps(ids))


if __name__ == "__main__":
    main()
