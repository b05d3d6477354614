"""Workers AI's reranker for LangChain."""

from collections.abc import Sequence

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document

from .workers_ai import Reranker


class WorkersAIReranker(BaseDocumentCompressor):
    """`Reranker` as a document compressor: keeps the ``top_n`` documents that answer best.

    Their metadata gets ``relevance_score``. The async variant works in a thread.
    """

    reranker: Reranker = Reranker()
    top_n: int = 4

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        texts = [document.page_content for document in documents]
        best = []
        for place, score in self.reranker.rank(query, texts, self.top_n):
            document = documents[place]
            scored = {**document.metadata, "relevance_score": score}
            best.append(document.model_copy(update={"metadata": scored}))
        return best
