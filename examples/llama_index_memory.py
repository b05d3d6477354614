"""A chat that remembers what no longer fits into its context, each person's apart.

``python -m examples.llama_index_memory``. On Cloudflare, leave out ``path=`` and set the two
variables of cloudflare.py; nothing else changes.
"""

import asyncio

from llama_index.core.llms import ChatMessage
from llama_index.core.memory import VectorMemoryBlock

from examples.minilm_llama_index import MiniLMEmbedding
from llama_index_vectorize import VectorizeVectorStore

SAID = {
    "ann": ("My cat is called Plato.", "I work in a bakery.", "I hate the sea."),
    "bob": ("My dog is called Hegel.", "I mend bicycles.", "I sail every summer."),
}
QUESTION = "What is my pet called?"


async def main() -> None:
    """Two people tell the same assistant about themselves, and ask it the same question."""
    async with VectorizeVectorStore(
        "memories",
        path=":memory:",
        # The block filters by it.
        metadata_indexes={"session_id": "string"},
    ) as store:
        block = VectorMemoryBlock(
            vector_store=store, embed_model=MiniLMEmbedding(), similarity_top_k=1
        )
        for person, sentences in SAID.items():
            for sentence in sentences:
                message = ChatMessage(sentence, additional_kwargs={"session_id": person})
                await block.aput([message], from_short_term_memory=True)
        for person in SAID:
            # A block keeps the session of its first question: one for each conversation.
            own = block.model_copy(update={"query_kwargs": {}})
            remembered = await own.aget([ChatMessage(QUESTION)], session_id=person)
            print(f"{person}: {QUESTION}\n     {remembered}")


if __name__ == "__main__":
    asyncio.run(main())
