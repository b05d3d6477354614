"""Every error of the real service of which somebody recorded code and text, and who did.

The server answers with these, word for word, or with `MARK` and the code 49999. `expected` tells;
each answer that the server's tests see as a fault goes through it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from vectorize_core.local.faults import MARK, UNKNOWN_CODE


class Recorded(NamedTuple):
    statuses: tuple[int, ...]
    code: int
    text: str
    """A pattern that the whole text matches."""
    evidence: str


BAD = (400,)
NAME = r'Index name ".*"'
CANNOT_PARSE = "failed to parse (insert|upsert) vectors request in "
RECORDED = (
    Recorded(
        BAD,
        1005,
        r"vectorize\.unknown_content_type",
        "whole bodies of answers to JSON; an issue of n8n-nodes-cloudflare",
    ),
    Recorded(
        (404, 400),
        3000,
        rf"vectorize\.index\.not_found - {NAME}",
        "wrangler's output in several deployment scripts; the status is a switch",
    ),
    Recorded(
        BAD,
        3002,
        rf"vectorize\.index\.duplicate_name - {NAME}",
        "the whole body in an issue of mastra; deployment scripts",
    ),
    Recorded(
        BAD,
        3003,
        r"vectorize\.index\.invalid_config - Dimensions must be in range: \[32, 1536\]",
        "a live attempt with 16 dimensions; another with 3072 by wrangler",
    ),
    Recorded(
        BAD,
        3003,
        r"vectorize\.index\.invalid_config - Config must be provided",
        "a live attempt with the configuration beside the name, not in `config`",
    ),
    Recorded(
        (410,),
        3005,
        rf"vectorize\.index\.deleted - {NAME}",
        "wrangler's output in deployment scripts; alchemy and langchain-cloudflare rely on 410",
    ),
    Recorded(
        BAD,
        40006,
        r"invalid query vector, expected \d+ dimensions, and got \d+ dimensions",
        "the whole body in an issue of mastra; bindings, also with 0 dimensions",
    ),
    Recorded(
        BAD,
        40007,
        r"too many ids in payload; max id count is (20|100), got \d+",
        "more than ten reports, of gets and deletes by bindings and by wrangler",
    ),
    Recorded(
        BAD, 40008, r"id too long; max is 64 bytes, got \d+ bytes", "many reports of bindings"
    ),
    Recorded(
        BAD,
        40012,
        r'invalid vector for id=".*", expected \d+ dimensions, and got \d+ dimensions',
        "three reports of inserts by bindings",
    ),
    Recorded(
        BAD,
        40016,
        r'oversized metadata for vector id=".*"; the compact JSON representation of the metadata '
        r"must not exceed 10240 bytes, got \d+ bytes",
        "a report of an upsert by a binding",
    ),
    Recorded(
        BAD,
        40023,
        rf"(vectorize\.upstream_error - )?{CANNOT_PARSE}ndjson format: "
        r"line Some\(\d+\) was not expected format",
        "with the prefix the whole body in an issue of cloudflare-typescript; without it wrangler, "
        "which sends a form",
    ),
    Recorded(
        BAD,
        40023,
        rf"{CANNOT_PARSE}json format: line None was not expected format",
        "reports of upserts by bindings, of a lone surrogate among others",
    ),
    Recorded(
        BAD,
        40025,
        r"with returnValues=true or returnMetadata=all, max top K is 50, but got \d+; for a top K "
        r"up to 100, retry with returnValues=false and returnMetadata=indexed",
        "an issue of second-brain-cloudflare; several reports of bindings",
    ),
    Recorded(
        BAD,
        40026,
        r"Expected request with `Content-Type: application/json`",
        "an issue of workers-sdk, of creating a metadata index",
    ),
    Recorded(
        BAD,
        40026,
        r"Failed to parse the request body as JSON: returnMetadata: expected value",
        "more than ten reports of `returnMetadata: false`; three go on ` at line 1 column 28`",
    ),
    Recorded(
        (400, 429), 40041, r"Too Many Requests", "many reports of bindings; the status is a switch"
    ),
    Recorded(
        BAD,
        40052,
        r"List vectors cursor appears to be corrupted",
        "several clients that start a listing again, one with a whole body",
    ),
    Recorded((404, 405), 7003, r"No route for the URI\.", "the example in the specification"),
    Recorded((401,), 1000, r"Invalid API Token", "the answer about a wrong token, in many reports"),
    Recorded((401,), 9109, r"Invalid access token", "wrangler, asking whose a wrong token is"),
    Recorded((401,), 10000, r"Authentication error", "wrangler's output in many logs"),
    Recorded(
        (429,),
        971,
        r"Please wait and consider throttling your request speed",
        "Cloudflare's API as a whole",
    ),
    # D1
    Recorded(
        (404,), 7404, r"The database .* could not be found", "wrangler's output in many reports"
    ),
    Recorded(
        BAD,
        7500,
        r".+: SQLITE_[A-Z]+( \(extended: SQLITE_[A-Z_]+\))?",
        "wrangler's output, as in `no such table: episodes: SQLITE_ERROR`",
    ),
)


def expected(status: int, code: int, text: str) -> bool:
    """Whether a fault is one of those recorded, or says that it is none."""
    if text.startswith(MARK):
        # What ends SQL is 7500, in whose words ever.
        return code == UNKNOWN_CODE or (code == 7500 and ": SQLITE_" in text)
    return any(
        status in known.statuses
        and code == known.code
        and re.fullmatch(known.text, text, re.DOTALL)
        for known in RECORDED
    )
