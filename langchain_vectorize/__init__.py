"""A LangChain vector store over Cloudflare Vectorize, or over an embedded Vectorize."""

import importlib.metadata
import importlib.util
import warnings

if importlib.util.find_spec("langchain_core") is None:
    raise ImportError(
        "langchain_vectorize needs LangChain: pip install 'vectorize-stores[langchain]'"
    )

try:
    importlib.metadata.distribution("langchain-vectorize")
except importlib.metadata.PackageNotFoundError:
    pass
else:
    warnings.warn(
        "the package 'langchain-vectorize' (of Vectorize.io, unrelated to Cloudflare) is "
        "installed too; it and 'vectorize-stores' both provide 'langchain_vectorize', and either "
        "may have overwritten the other. Uninstall it, then reinstall vectorize-stores",
        stacklevel=2,
    )

from langchain_vectorize.columns import Columns
from langchain_vectorize.documents import Scored, document_filter
from langchain_vectorize.options import (
    CompareOptions,
    DeleteOptions,
    DocumentFilter,
    DocumentOptions,
    ExistingIndexOptions,
    FromDocumentsOptions,
    FromTextsOptions,
    Included,
    KeyEncoder,
    LocalOptions,
    LongTexts,
    RelevanceOptions,
    RetrievalMode,
    RetrieverOptions,
    SearchKwargs,
    SearchOptions,
    SearchType,
)
from langchain_vectorize.texts import BaseStoreTexts
from langchain_vectorize.translator import VectorizeTranslator
from langchain_vectorize.vectorstore import VectorizeVectorStore

__all__ = [
    "BaseStoreTexts",
    "Columns",
    "CompareOptions",
    "DeleteOptions",
    "DocumentFilter",
    "DocumentOptions",
    "ExistingIndexOptions",
    "FromDocumentsOptions",
    "FromTextsOptions",
    "Included",
    "KeyEncoder",
    "LocalOptions",
    "LongTexts",
    "RelevanceOptions",
    "RetrievalMode",
    "RetrieverOptions",
    "Scored",
    "SearchKwargs",
    "SearchOptions",
    "SearchType",
    "VectorizeTranslator",
    "VectorizeVectorStore",
    "document_filter",
]

for _export in map(globals().get, __all__):
    if isinstance(_export, (type, type(document_filter))):
        _export.__module__ = __name__
