"""An extractive answer in place of a language model: the sentence that is nearest to the question.

Put a chat model here in an application of your own; this one needs no key and invents nothing.
"""

from collections.abc import Sequence

from examples.corpus import sentences
from examples.minilm import MiniLM


class Extractor:
    """Answers a question with a sentence of the passages it is given."""

    def __init__(self, model: MiniLM) -> None:
        self._model = model

    def answer(self, question: str, passages: Sequence[str]) -> str:
        """The best sentence of ``passages``; an empty string if there are none."""
        candidates = [s for passage in passages for s in sentences(passage) if len(s) > 40]
        if not candidates:
            return ""
        vectors = self._model.embed([question, *candidates])
        return candidates[int((vectors[1:] @ vectors[0]).argmax())]
