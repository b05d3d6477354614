"""A search service: one async store for all requests.

``pip install fastapi uvicorn``, ``uvicorn examples.fastapi_service:app``, then
``curl 'http://127.0.0.1:8000/search?q=What+are+the+four+freedoms'``. Embedded in ``.demo`` (run
``make demo`` first), or on Cloudflare if CLOUDFLARE_ACCOUNT_ID and CLOUDFLARE_API_TOKEN are set.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request

from examples.demo import FOLDER, INDEX
from examples.minilm_langchain import MiniLMEmbeddings
from langchain_vectorize import VectorizeVectorStore


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the store with the service, close it with the service."""
    path = None if "CLOUDFLARE_API_TOKEN" in os.environ else FOLDER
    async with VectorizeVectorStore(MiniLMEmbeddings(), index_name=INDEX, path=path) as store:
        app.state.store = store
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/search")
async def search(
    request: Request,
    q: str,
    k: Annotated[int, Query(ge=1, le=100)] = 4,
    since: int | None = None,
) -> list[dict[str, Any]]:
    """The ``k`` nearest passages, if asked for only those since a year."""
    store: VectorizeVectorStore = request.app.state.store
    years = {"year": {"$gte": since}} if since is not None else None
    scored = await store.asimilarity_search_with_score(q, k=k, filter=years)
    return [
        {"text": document.page_content, "score": score, **document.metadata}
        for document, score in scored
    ]
