"""Workers AI's reranker for LlamaIndex."""

from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle

from .workers_ai import Reranker


class WorkersAIRerank(BaseNodePostprocessor):
    """`Reranker` as a node postprocessor: keeps the ``top_n`` nodes that answer best."""

    reranker: Reranker = Reranker()
    top_n: int = 4

    @classmethod
    def class_name(cls) -> str:
        return "WorkersAIRerank"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if query_bundle is None:
            raise ValueError("reranking needs the query: pass query_str= or query_bundle=")
        texts = [node.node.get_content(MetadataMode.EMBED) for node in nodes]
        ranked = self.reranker.rank(query_bundle.query_str, texts, self.top_n)
        return [NodeWithScore(node=nodes[place].node, score=score) for place, score in ranked]
