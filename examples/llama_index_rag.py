"""Retrieval-augmented answers with LlamaIndex: an IngestionPipeline and a query engine.

``python -m examples.llama_index_rag``. On Cloudflare, leave out ``path=`` and set the two
variables of cloudflare.py; nothing else changes.
"""

from typing import Any

from llama_index.core import PromptTemplate, VectorStoreIndex
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.llms import CompletionResponse, CompletionResponseGen, CustomLLM, LLMMetadata
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.node_parser import TokenTextSplitter
from llama_index.core.schema import Document
from llama_index.core.vector_stores import FilterOperator, MetadataFilter, MetadataFilters

from examples.answers import Extractor
from examples.corpus import passages
from examples.minilm import MiniLM
from examples.minilm_llama_index import MiniLMEmbedding
from llama_index_vectorize import VectorizeVectorStore

QUESTION = "What did the President promise about building ships and planes?"
_QUESTION_ENDS = "\n-----\n"


class ExtractiveLLM(CustomLLM):
    """Stands where a language model would: answers with a sentence of the context."""

    extractor: Any

    @property
    def metadata(self) -> LLMMetadata:
        """A model with room for a few passages."""
        return LLMMetadata(context_window=16_000, model_name="extractive")

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """The sentence of the prompt's context that answers its question best."""
        question, _, context = prompt.partition(_QUESTION_ENDS)
        return CompletionResponse(text=self.extractor.answer(question, context.split("\n\n")))

    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        """The same in one piece."""
        yield self.complete(prompt, formatted, **kwargs)


def main() -> None:
    """Run two addresses through a pipeline, then ask about one of them."""
    model = MiniLM()
    embedding = MiniLMEmbedding(model)
    documents = [
        Document(doc_id=passage.id, text=passage.text, metadata=passage.metadata)
        for passage in passages()
        if passage.metadata["year"] in (1934, 1941)
    ]
    with VectorizeVectorStore(
        "addresses", path=":memory:", metadata_indexes={"year": "number"}
    ) as store:
        pipeline = IngestionPipeline(
            transformations=[TokenTextSplitter(chunk_size=256, chunk_overlap=0), embedding],
            vector_store=store,
        )
        nodes = pipeline.run(documents=documents)
        print(f"{len(documents)} documents, {len(nodes)} nodes")

        only_1941 = MetadataFilter(key="year", operator=FilterOperator.EQ, value=1941)
        engine = VectorStoreIndex.from_vector_store(store, embed_model=embedding).as_query_engine(
            llm=ExtractiveLLM(extractor=Extractor(model)),
            similarity_top_k=4,
            filters=MetadataFilters(filters=[only_1941]),
            text_qa_template=PromptTemplate("{query_str}" + _QUESTION_ENDS + "{context_str}"),
        )
        print(f"Q: {QUESTION}\nA: {engine.query(QUESTION)}")


if __name__ == "__main__":
    main()
