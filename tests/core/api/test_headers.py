"""The headers of answers: rate limits and delays, and what is no such thing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.nightly import examples
from vectorize_core.api.headers import quotas, request_id, retry_after

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
    assert 60 < (retry_after({"retry-after": format_datetime(later, usegmt=True)}) or 0) <= 100


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


ABSURD = (
    *("", " ", "soon", "nan", "inf", "-inf", "-1", "-0.5", "+5", "1e3", "1_0", "0x10", "٣", "½"),
    *(
        "3600.1",
        "999999999",
        "1" + "0" * 9_999,
        "0" * 20,
        '"5"',
        "\x00",
        "\xff",
    ),
)
"""Numbers of requests or seconds that are none, or cannot be right."""


@pytest.mark.parametrize("number", ABSURD)
def test_an_absurd_number_says_nothing(number: str) -> None:
    assert retry_after({"retry-after": number}) is None
    assert retry_after({"x-ratelimit-reset": number}) is None
    assert quotas({"x-ratelimit-remaining": "0", "x-ratelimit-reset": number}) == []
    assert quotas({"ratelimit": f'"a";r=0;t={number}'}) == []
    # Another one, beside it, still does.
    both = {"ratelimit": f'"a";r=0;t={number}, "b";r=1;t=2'}
    assert [quota.name for quota in quotas(both)] == ['"b"']


@pytest.mark.parametrize("number", [n for n in ABSURD if n not in ("3600.1", "999999999")])
def test_an_absurd_number_of_requests_says_nothing(number: str) -> None:
    assert quotas({"x-ratelimit-remaining": number, "x-ratelimit-reset": "3"}) == []
    policy = {"ratelimit": '"a";r=0;t=3', "ratelimit-policy": f'"a";q={number}'}
    assert quotas(policy) == [('"a"', 0, 3.0, None)]


@pytest.mark.parametrize(
    "date",
    [
        "Wed, 21 Oct 9999 07:30:00 GMT",
        "Wed, 21 Oct 99999 07:30:00 GMT",
        "Wed, 21 Oct 99999999999999999999 07:30:00 GMT",
        "Wed, 21 Oct 2015 07:30:00 +99999999999",
        "Wed, 21 Oct 2015 99:99:99 GMT",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "2015-10-21T07:30:00Z",
        ",,,",
        "\xff",
        "",
    ],
)
def test_a_date_that_cannot_be_right_says_nothing(date: str) -> None:
    assert retry_after({"date": DATE, "retry-after": date}) is None
    assert retry_after({"date": date, "retry-after": DATE}) in (None, 0.0)


def test_of_dates_without_a_zone_both_are_in_the_same() -> None:
    bare = DATE.replace("GMT", "-0000")
    later = "Wed, 21 Oct 2015 07:30:00"
    for date in (bare, DATE):
        for asked in (f"{later} -0000", f"{later} GMT"):
            assert retry_after({"date": date, "retry-after": asked}) == 120.0


@pytest.mark.parametrize("ray", ["", "a\nb", "\x1b[31m", "\x85", "r" * 201, "r" * 100_000])
def test_what_cannot_be_the_id_of_a_request_is_none(ray: str) -> None:
    assert request_id({"cf-ray": ray}) is None
    assert request_id({"cf-ray": "8f1a2b3c-FRA"}) == "8f1a2b3c-FRA"


def test_several_of_each_are_no_error() -> None:
    headers = httpx.Headers(
        [
            ("retry-after", "5"),
            ("retry-after", "7"),
            ("ratelimit", '"a";r=0;t=5'),
            ("ratelimit", '"b";r=1;t=6'),
            ("ratelimit-policy", '"a";q=10'),
            ("ratelimit-policy", '"b";q=20;w=0'),
        ]
    )
    assert quotas(headers) == [('"a"', 0, 5.0, 10), ('"b"', 1, 6.0, 20)]
    assert retry_after(headers) == 5.0


def test_of_very_many_limits_a_few_are_read() -> None:
    many = ", ".join(f'"{n}";r=0;t=5' for n in range(10_000))
    assert len(quotas({"ratelimit": many})) == 8


VALUES = (
    st.text(st.sampled_from('0123456789 .,;="-+eETZ:rtqwGMTOct\xa0\xffx'), max_size=40) | st.text()
)
NAMES = (
    *("retry-after", "date", "ratelimit", "ratelimit-policy"),
    *("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"),
)


@examples(500)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, VALUES)))
def test_any_headers_are_read_and_hold_nobody_for_longer_than_an_hour(
    headers: dict[str, str],
) -> None:
    assert 0 <= (retry_after(headers) or 0) <= 3_600
    for quota in quotas(headers):
        assert quota.left >= 0
        assert 0 <= quota.seconds <= 3_600
        assert quota.quota is None or quota.quota >= 0
