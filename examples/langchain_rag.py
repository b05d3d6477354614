"""Retrieval-augmented answers with LangChain: an LCEL chain over an embedded Vectorize.

``python -m examples.langchain_rag``. On Cloudflare, leave out ``path=`` and set the two variables
of cloudflare.py; nothing else changes.
"""

from typing import Any

from langchain_core.documents import Document
from langchain_core.runnables import Runnable, RunnableLambda, RunnablePassthrough

from examples.answers import Extractor
from examples.corpus import passages
from examples.minilm import MiniLM
from examples.minilm_langchain import MiniLMEmbeddings
from langchain_vectorize import VectorizeVectorStore

QUESTION = "What did the President promise about building ships and planes?"


def main() -> None:
    """Index one address, then answer a question about it."""
    model = MiniLM()
    documents = [
        Document(id=passage.id, page_content=passage.text, metadata=passage.metadata)
        for passage in passages()
        if passage.metadata["year"] == 1941
    ]
    store = VectorizeVectorStore.from_documents(
        documents,
        MiniLMEmbeddings(model),
        index_name="addresses",
        path=":memory:",
        metadata_indexes={"year": "number"},
    )
    retriever = store.as_retriever(search_kwargs={"k": 4, "filter": {"year": 1941}})

    extractor = Extractor(model)

    def answer(given: dict[str, Any]) -> str:
        texts = [document.page_content for document in given["context"]]
        return extractor.answer(given["question"], texts)

    # In an application of your own: ... | prompt | chat_model | StrOutputParser()
    chain: Runnable[str, str]
    chain = {"context": retriever, "question": RunnablePassthrough()} | RunnableLambda(answer)

    print(f"Q: {QUESTION}\nA: {chain.invoke(QUESTION)}")
    store.close()


if __name__ == "__main__":
    main()
