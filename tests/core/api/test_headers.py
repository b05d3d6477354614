"""The headers of answers: rate limits and delays, and what is no such thing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from vectorize_core.api.headers import quotas, retry_after

DATE = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"x-ratelimit-reset": "3"}, 3.0),
        ({"retry-after": "7", "x-ratelimit-reset": "3"}, 7.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "3"}, 3.0),
        ({"x-ratelimit-remaining": "9", "x-ratelimit-reset": "3"}, None),
        ({"ratelimit": '"default";r=0;t=3'}, 3.0),
        ({"ratelimit": '"a";r=0;t=3, "b";r=9;t=30, "c";r=0;t=5'}, 5.0),
        ({"ratelimit": '"default";r=9;t=3'}, None),
        ({"ratelimit": "what?"}, None),
        ({"date": DATE, "retry-after": "Wed, 21 Oct 2015 07:30:00 GMT"}, 120.0),
        ({"date": DATE, "retry-after": "Wednesday, 21-Oct-15 07:30:00 GMT"}, 120.0),
        ({"date": DATE, "retry-after": DATE}, 0.0),
        ({"date": DATE, "retry-after": "Wed, 21 Oct 2015 07:00:00 GMT"}, 0.0),
        ({"date": DATE, "retry-after": "Wed, 21 Oct 2099 07:00:00 GMT"}, None),
        ({"date": DATE, "retry-after": "Wed, 32 Oct 2015 07:30:00 GMT"}, None),
        ({"date": "today", "retry-after": "Wed, 21 Oct 2015 07:30:00 GMT"}, None),
        ({"retry-after": "soon", "x-ratelimit-reset": "3"}, 3.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({}, None),
    ],
)
def test_how_long_the_service_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_a_date_to_wait_for_needs_no_date_header() -> None:
    later = datetime.now(UTC) + timedelta(seconds=100)
    assert 95 < (retry_after({"retry-after": format_datetime(later, usegmt=True)}) or 0) <= 100


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({}, []),
        (
            {"ratelimit": '"default";r=50;t=30', "ratelimit-policy": '"default";q=100;w=60'},
            [('"default"', 50, 30, 100)],
        ),
        (
            {"ratelimit": '"a";r=1;t=2, "b";t=4;r=3', "ratelimit-policy": '"burst";q=100;w=60'},
            [('"a"', 1, 2, None), ('"b"', 3, 4, None)],
        ),
        (
            {
                "x-ratelimit-limit": "1200",
                "x-ratelimit-remaining": "7",
                "x-ratelimit-reset": "300",
            },
            [("", 7, 300, 1200)],
        ),
        ({"x-ratelimit-remaining": "7"}, []),
        ({"x-ratelimit-remaining": "7", "x-ratelimit-reset": "1800000000"}, []),
        ({"x-ratelimit-remaining": "some", "x-ratelimit-reset": "3"}, []),
        ({"ratelimit": "limit=100, remaining=50, reset=5"}, []),
        ({"ratelimit": '"default";r=50'}, []),
        ({"ratelimit": '"default";r;t=5'}, []),
    ],
)
def test_what_an_answer_tells_of_rate_limits(
    headers: dict[str, str], told: list[tuple[str, int, float, int | None]]
) -> None:
    assert quotas(headers) == told
    assert quotas(httpx.Headers(headers)) == told
