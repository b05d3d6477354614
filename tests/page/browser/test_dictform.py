"""Filters as people type them: read as Python or JSON reads them, or refused at their place."""

from __future__ import annotations

import ast
import json
from contextlib import suppress
from typing import Any

from tests.page.browser.conftest import Visit

READ = """async texts => {
    const [{parse}, {json}] = await Promise.all(["dictform", "jsontext"].map(
        name => import(`/page/${name}.js`)));
    return texts.map(text => {
        try { return json(parse(text).value); } catch (error) {
            return typeof error.start === "number" ? [error.start, error.end] : String(error);
        }
    });
}"""
SAME = [
    r"""{'t': "mo\x6fn", 'u': '\U0001F600', 'o': '\60\1234\0', 'a': '\a\b\f\n\r\t\v\'\"\\'}""",
    r"""{"t": "\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"}""",
    "{'t': 'one \\\nline'}",
    "{'n': [9007199254740991, 9007199254740993, +18446744073709551615, -9223372036854775808]}",
    "{'n': [1.5, .5, 5., -1e-7, 1e300, 9007199254740993.0, 1_0.2_5e1_0, 0]}",
    "{'b': (1960), 't': (1960,), 'e': (), 'n': [[], {}, None, True]}",
    "{'__proto__': {'constructor': 1}, 'toString': 2}",
]
REFUSED = {
    r"{'t': 'mo\y'}": r"\y",
    r"{'t': '\N{BULLET}'}": r"\N",
    r"{'t': '\x6'}": r"\x",
    r"{'t': '\u12'}": r"\u",
    r"{'t': '\/'}": r"\/",
    r"{'t': '\U00110000'}": r"\U00110000",
    r"{'t': '\ud800'}": r"'\ud800'",
    "{'n': 1e400}": "1e400",
    "{'n': 18446744073709551616}": "18446744073709551616",
    "{'n': -9223372036854775809}": "-9223372036854775809",
    f"{{'n': {'9' * 100_000}}}": "9" * 100_000,
    "{'n': 1__0}": "_",
    "{'n': 0x10}": "x",
    "{'t': 'a' 'b'}": "'",
    "{'t': r'a'}": "r",
}


def value_of(text: str) -> Any:
    with suppress(ValueError):
        return json.loads(text)
    return ast.literal_eval(text)


def test_what_is_sent_is_what_was_meant(visit: Visit) -> None:
    page = visit()
    read = page.evaluate(READ, SAME)
    assert [json.loads(text) for text in read] == [
        json.loads(json.dumps(value_of(text))) for text in SAME
    ]
    places = page.evaluate(READ, list(REFUSED))
    assert all(isinstance(place, list) for place in places), places
    assert [text[slice(*place)] for text, place in zip(REFUSED, places, strict=True)] == list(
        REFUSED.values()
    )


def test_a_number_that_a_browser_would_round(visit: Visit) -> None:
    sent: list[Any] = []
    page = visit()
    page.on("request", lambda request: sent.append(request.post_data or ""))
    view = "#/index/papers/search?by=text&q=x&filter={'year': 9007199254740993}"
    page.goto(page.url.partition("#")[0] + view)
    page.get_by_text("Nothing was found").wait_for()
    assert any('"filter":{"year":9007199254740993}' in body for body in sent)
