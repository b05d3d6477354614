"""MiniLM, which embeds no text twice."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from langchain_core.embeddings import Embeddings
from numpy.typing import NDArray

from examples.minilm import MiniLM


class Remembered(Embeddings):
    """all-MiniLM-L6-v2 for LangChain; vectors are kept in a file, by a digest of their text."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._model = MiniLM()
        self._known: dict[str, NDArray[np.float32]] = {}
        if path.exists():
            with np.load(path) as kept:
                self._known = dict(zip(kept["digests"].tolist(), kept["vectors"], strict=True))

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        """Their vectors; those of new texts are kept in memory until `save`."""
        digests = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
        new = {d: text for d, text in zip(digests, texts, strict=True) if d not in self._known}
        if new:
            self._known.update(zip(new, self._model.embed(list(new.values())), strict=True))
        return [self._known[digest].tolist() for digest in digests]

    def embed_query(self, text: str) -> list[float]:
        """The vector of one text."""
        return self.embed_documents([text])[0]

    def save(self) -> None:
        """Write all vectors into the file."""
        digests, vectors = list(self._known), np.array(list(self._known.values()))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(self._path, digests=np.array(digests), vectors=vectors)
