"""Filters out of a question: a language model says which, LlamaIndex retrieves with them.

``python -m examples.llama_index_auto_retrieval``. On Cloudflare, leave out ``path=`` and set
the two variables of cloudflare.py; nothing else changes.
"""

import json
import re
from typing import Any

from llama_index.core import VectorStoreIndex
from llama_index.core.llms import CompletionResponse, CompletionResponseGen, CustomLLM, LLMMetadata
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.retrievers import VectorIndexAutoRetriever
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import MetadataInfo, VectorStoreInfo

from examples.corpus import passages
from examples.minilm_llama_index import MiniLMEmbedding
from llama_index_vectorize import VectorizeVectorStore

QUESTIONS = (
    "What was said about building ships in 1941?",
    "What was said about the public debt before 1800?",
    "What was said about wages after 1900?",
)
ABOUT = VectorStoreInfo(
    content_info="passages of State of the Union addresses",
    metadata_info=[
        MetadataInfo(name="year", type="int", description="when the address was given"),
        MetadataInfo(name="president", type="str", description="who gave it"),
    ],
)
_OPERATORS = {"in": "==", "before": "<", "after": ">"}


class YearLLM(CustomLLM):
    """Stands where a language model would: finds the year in a question, and nothing else."""

    @property
    def metadata(self) -> LLMMetadata:
        """A model with room for the prompt."""
        return LLMMetadata(context_window=16_000, model_name="years")

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """The query and the filters, as JSON."""
        question = next(one for one in QUESTIONS if one in prompt)
        found = re.search(r" (in|before|after) (\d{4})", question)
        assert found is not None
        operator, year = _OPERATORS[found[1]], int(found[2])
        said = {
            "query": question.replace(found[0], ""),
            "filters": [{"key": "year", "value": year, "operator": operator}],
        }
        return CompletionResponse(text=json.dumps(said))

    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        """The same in one piece."""
        yield self.complete(prompt, formatted, **kwargs)


def main() -> None:
    """Index two addresses, then ask about some of their years."""
    embedding = MiniLMEmbedding()
    nodes = [
        TextNode(id_=passage.id, text=passage.text, metadata=passage.metadata)
        for passage in passages()
        if passage.metadata["year"] in (1790, 1941)
    ]
    with VectorizeVectorStore(
        "addresses",
        path=":memory:",
        # What the language model may filter by.
        metadata_indexes={"year": "number", "president": "string"},
    ) as store:
        store.add(embedding(nodes))
        retriever = VectorIndexAutoRetriever(
            VectorStoreIndex.from_vector_store(store, embed_model=embedding),
            vector_store_info=ABOUT,
            llm=YearLLM(),
            similarity_top_k=1,
        )
        for question in QUESTIONS:
            (best,) = retriever.retrieve(question)
            print(f"Q: {question}\n   {best.metadata['year']}: {best.get_content()[:70]} ...")


if __name__ == "__main__":
    main()
