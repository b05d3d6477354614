"""Workers AI's reranker, bge-reranker-base: reads a question together with each text."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import httpx

API = "https://api.cloudflare.com/client/v4"


@cache
def _client() -> httpx.Client:
    """Of the whole process: connections stay open from one call to the next."""
    return httpx.Client()


@dataclass(frozen=True, slots=True)
class Reranker:
    """Scores texts by how well they answer a question, in one request for all of them.

    Takes the account and the token (with the permission Workers AI: Read) from
    CLOUDFLARE_ACCOUNT_ID and CLOUDFLARE_API_TOKEN when it is asked, so it may be pickled and
    printed. CLOUDFLARE_BASE_URL is another address of the API.
    """

    model: str = "@cf/baai/bge-reranker-base"
    timeout: float = 30.0
    """In seconds, for each wait for the service."""

    def rank(self, question: str, texts: Sequence[str], top: int) -> list[tuple[int, float]]:
        """The places in ``texts`` of the ``top`` best ones, with their scores, the best first.

        Of a long text, the service reads the first 512 tokens, question included. An empty text is
        never among the best. Raises `httpx.HTTPError` when the service cannot be reached, and
        `RuntimeError` with its own words when it refuses.
        """
        asked = [place for place, text in enumerate(texts) if text]
        if not asked or top < 1:
            return []
        account, token = (os.environ[f"CLOUDFLARE_{it}"] for it in ("ACCOUNT_ID", "API_TOKEN"))
        api = os.environ.get("CLOUDFLARE_BASE_URL", API)
        answer = _client().post(
            f"{api}/accounts/{account}/ai/run/{self.model}",
            headers={"Authorization": f"Bearer {token}"},
            json={
                "query": question,
                "contexts": [{"text": texts[place]} for place in asked],
                "top_k": min(top, len(asked)),
            },
            timeout=self.timeout,
        )
        if not answer.is_success:
            raise RuntimeError(f"Workers AI answered {answer.status_code}: {answer.text[:500]}")
        found = answer.json()["result"]["response"]
        ranked = sorted(found, key=lambda one: -float(one["score"]))
        return [(asked[one["id"]], float(one["score"])) for one in ranked[:top]]
