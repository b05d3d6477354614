"""Workers AI by its binding, and what stands for its embeddings where there is no account."""

import hashlib
import json
import math
import re
import sys
from typing import Any

EMBEDDING_MODEL = "@cf/baai/bge-small-en-v1.5"
DIMENSIONS = 384
CHAT_MODEL = "@cf/meta/llama-3.1-8b-instruct"
TEXTS_PER_CALL = 100


async def run(ai: Any, model: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """What a model answers. In Pyodide its input and answer are objects of JavaScript."""
    if sys.platform == "emscripten":
        from js import JSON  # noqa: PLC0415

        found: Any = await ai.run(model, JSON.parse(json.dumps(inputs)))
        return dict(json.loads(JSON.stringify(found)))
    return dict(await ai.run(model, inputs))


async def embed(ai: Any, texts: list[str]) -> list[list[float]]:
    """A vector of `DIMENSIONS` for each text; without ``ai``, of its words alone."""
    if ai is None:
        return [hashed_words(text) for text in texts]
    vectors: list[list[float]] = []
    for at in range(0, len(texts), TEXTS_PER_CALL):
        found = await run(ai, EMBEDDING_MODEL, {"text": texts[at : at + TEXTS_PER_CALL]})
        vectors += found["data"]
    return vectors


async def answer(ai: Any, question: str, passages: list[str]) -> str | None:
    """An answer out of the passages; without ``ai`` there is none."""
    if ai is None:
        return None
    told = "Answer from these passages only. Say so if they do not tell.\n\n"
    system = {"role": "system", "content": told + "\n\n".join(passages)}
    messages = [system, {"role": "user", "content": question}]
    found = await run(ai, CHAT_MODEL, {"messages": messages})
    return str(found["response"])


def hashed_words(text: str) -> list[float]:
    """A vector of which words a text has: no model, but texts with the same words are near."""
    vector = [0.0] * DIMENSIONS
    for word in re.findall(r"\w+", text.lower()):
        digest = hashlib.blake2b(word.encode(), digest_size=4).digest()
        vector[int.from_bytes(digest, "big") % DIMENSIONS] += 1.0
    length = math.hypot(*vector)
    return [value / length for value in vector] if length else [1.0] + [0.0] * (DIMENSIONS - 1)
