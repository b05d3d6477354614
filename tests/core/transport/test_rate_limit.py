"""The rate limiter: what it lets through when, and against limiters like Cloudflare's."""

from __future__ import annotations

import asyncio
import math
import os
import random
import subprocess
import sys
import textwrap
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import httpx
import pytest

from tests.core.helpers import (
    CREDENTIALS,
    Answer,
    Cloudflare,
    Variant,
    both_variants,
    failed,
    ok,
    settled,
)
from tests.core.transport.virtual_time import VirtualClock, run_virtually
from tests.nightly import sized
from vectorize_core import (
    ApiError,
    ConfigurationError,
    RateLimit,
    RateLimitError,
    RetryPolicy,
    ServerError,
    Vector,
    VectorizeClient,
)
from vectorize_core.api.operations import GetInfo, Op, Upsert
from vectorize_core.holds import Call
from vectorize_core.local.server.rate_limit import RateLimiter as StrictLimit
from vectorize_core.transport.http import HttpExecutor
from vectorize_core.transport.io import AsyncIo, SyncIo, each, run
from vectorize_core.transport.rate_limit import RateLimiter

CALLS, TASKS = sized(2_600, 5_000), 16
WINDOWS = CALLS // 1_200
AT_LEAST = WINDOWS * 300
"""Seconds that all calls need, if 1,200 are let through in each window."""
WRITE = Upsert("docs", (Vector("a", [1.0]),))
READ = GetInfo("docs")
ANSWERS = {
    "POST": ok({"mutationId": "m"}),
    "GET": ok({"dimensions": 32, "vectorCount": 1}),
}
REFUSAL = failed(429, 971)


class GoesOn:
    """A call that does not end."""

    def has_ended(self) -> bool:
        return False


GOES_ON = GoesOn()


class Limiter(Protocol):
    def take(self) -> tuple[bool, dict[str, str]]: ...


class TokenBucket:
    """1,200 at once, then four a second; says nothing but no."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._tokens, self._at = 1_200.0, 0.0
        self._lock = threading.Lock()

    def take(self) -> tuple[bool, dict[str, str]]:
        with self._lock:
            now = self._clock()
            self._tokens = min(1_200.0, self._tokens + (now - self._at) * 4)
            self._at = now
            allowed = self._tokens >= 1
            self._tokens -= allowed
            return allowed, {}


class Server:
    """Answers after a while what its limiter lets through, and 429 to the rest."""

    def __init__(self, limiter: Limiter, told: Callable[[str], bool] = lambda _: True) -> None:
        self.limiter = limiter
        self.told = told
        self.served = self.refused = 0
        self.random = random.Random(0)

    def way(self) -> float:
        """Seconds from here to there."""
        return self.random.uniform(0.01, 0.3)

    def answer(self, request: httpx.Request) -> httpx.Response:
        allowed, headers = self.limiter.take()
        headers = {name: value for name, value in headers.items() if self.told(name)}
        self.served += allowed
        self.refused += not allowed
        answer = ANSWERS[request.method] if allowed else REFUSAL
        return httpx.Response(answer.status, content=answer.content, headers=headers)

    async def aanswer(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(self.way())
        response = self.answer(request)
        await asyncio.sleep(self.way())
        return response


def spent(
    serve: Callable[[Callable[[], float]], Server], op: Op[Any] = WRITE, calls: int = CALLS
) -> tuple[float, Server]:
    """The seconds that ``calls`` take, side by side, and the server, which is made of a clock."""

    async def main() -> tuple[float, Server]:
        clock = asyncio.get_running_loop().time
        server = serve(clock)
        executor = HttpExecutor(CREDENTIALS, async_transport=httpx.MockTransport(server.aanswer))
        io = AsyncIo(executor, RetryPolicy(), limiter=RateLimiter(RateLimit(), clock))

        async def call(_: int) -> None:
            await io.call(op)

        async for done in io.map(call, each(range(calls)), TASKS):
            done.result()
        return clock(), server

    return run_virtually(main())


@pytest.mark.parametrize(
    ("op", "calls"), [(WRITE, CALLS), (READ, sized(1_500, 2_000))], ids=["writes", "reads"]
)
def test_a_token_bucket_of_the_same_size_refuses_nothing(op: Op[Any], calls: int) -> None:
    seconds, server = spent(lambda clock: Server(TokenBucket(clock)), op, calls)
    assert (server.served, server.refused) == (calls, 0)
    assert seconds <= 1.2 * (calls - 1_200) / 4


def test_a_strict_window_that_tells_its_count_refuses_nothing() -> None:
    seconds, server = spent(lambda clock: Server(StrictLimit(1_200, clock)))
    assert (server.served, server.refused) == (CALLS, 0)
    assert seconds <= 1.2 * AT_LEAST


def test_a_strict_window_that_does_not_tell_refuses_few() -> None:
    seconds, server = spent(
        lambda clock: Server(StrictLimit(1_200, clock), lambda name: name == "retry-after")
    )
    assert server.served == CALLS
    assert server.refused <= WINDOWS * TASKS
    assert seconds <= 1.2 * AT_LEAST


def test_threads_share_the_budget_too() -> None:
    clock = VirtualClock(TASKS)
    server = Server(TokenBucket(lambda: clock.now))

    class Io(SyncIo):
        async def sleep(self, seconds: float, /) -> None:
            clock.sleep(seconds)

    def answer(request: httpx.Request) -> httpx.Response:
        clock.sleep(server.way())
        return server.answer(request)

    executor = HttpExecutor(CREDENTIALS, transport=httpx.MockTransport(answer))
    io = Io(executor, RetryPolicy(), limiter=RateLimiter(RateLimit(), lambda: clock.now))
    calls = iter(range(CALLS))

    def work() -> None:
        try:
            for _ in calls:
                run(io.call(WRITE))
        finally:
            clock.leave()

    threads = [threading.Thread(target=work) for _ in range(TASKS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (server.served, server.refused) == (CALLS, 0)
    assert clock.now <= 1.2 * (CALLS - 1_200) / 4


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Connected:
    """A limiter, its clock, and those who send over it."""

    def __init__(self, requests: int | None = 4, period: float = 8.0) -> None:
        self.clock = Clock()
        limit = None if requests is None else RateLimit(requests, period)
        self.limiter = RateLimiter(limit, self.clock)
        self.sent: deque[int] = deque()

    def pass_(self, seconds: float) -> None:
        self.clock.now += seconds

    def delays(self, count: int) -> list[float]:
        """How long new requests have to wait; those that need not are sent, others given up."""
        delays = {}
        for _ in range(count):
            number = self.limiter.draw(GOES_ON)
            delays[number] = round(self.limiter.delay(number), 6)
        for number, delay in delays.items():
            if delay:
                self.limiter.give_back(number)
            else:
                self.sent.append(number)
        return [*delays.values()]

    def answered(self, count: int = 1, **headers: object) -> None:
        for _ in range(count):
            told = {name.replace("_", "-"): str(value) for name, value in headers.items()}
            self.limiter.learn(told)
            self.limiter.ended(self.sent.popleft() if self.sent else 0, answered=True)


def window(left: int, seconds: int, quota: int = 1_200) -> dict[str, object]:
    return {
        "x_ratelimit_limit": quota,
        "x_ratelimit_remaining": left,
        "x_ratelimit_reset": seconds,
    }


def test_at_first_all_go_then_one_after_the_other() -> None:
    them = Connected(4, 8.0)
    # A second later than it might, for requests that take different times to arrive.
    assert them.delays(7) == [0, 0, 0, 0, 3, 5, 7]


def test_a_bucket_that_is_not_used_fills_up_but_not_over() -> None:
    them = Connected(4, 8.0)
    assert them.delays(4) == [0, 0, 0, 0]
    them.pass_(5.0)
    assert them.delays(3) == [0, 0, 2]
    them.pass_(1_000.0)
    assert them.delays(6) == [0, 0, 0, 0, 3, 5]


def test_a_number_that_is_given_back_is_somebody_elses() -> None:
    them = Connected(1, 8.0)
    assert [them.delays(2) for _ in range(3)] == [[0, 9], [9, 17], [9, 17]]


def test_without_a_limit_nothing_waits() -> None:
    assert Connected(None).delays(5_000) == [0] * 5_000


@pytest.mark.parametrize("requests", [None, 100])
def test_where_the_service_counts_less_its_count_holds(
    requests: int | None,
) -> None:
    them = Connected(requests, 1.0)
    them.delays(1)
    them.answered(**window(left=2, seconds=30, quota=3))
    assert them.delays(2) == [0, 0]
    # The two that are on their way may be what is left.
    assert them.delays(1) == [0.1]
    them.answered(**window(left=1, seconds=30, quota=3))
    them.answered(**window(left=0, seconds=30, quota=3))
    assert them.delays(1) == [31]
    them.pass_(31)
    assert them.delays(4) == [0, 0, 0, 0.1]


def test_a_new_window_of_the_service_fills_the_bucket() -> None:
    them = Connected(4, 8_000.0)
    assert them.delays(4) == [0, 0, 0, 0]
    them.answered(4, **window(left=0, seconds=30, quota=4))
    them.pass_(31)
    assert them.delays(4) == [0, 0, 0, 0]


def test_answers_that_overtake_each_other_leave_no_more() -> None:
    them = Connected(None)
    them.delays(3)
    for left in (1, 3, 2):
        them.answered(**window(left=left, seconds=30))
    assert them.delays(2) == [0, 0.1]


def test_of_the_ends_of_a_window_the_earliest_is_believed() -> None:
    them = Connected(None)
    them.delays(3)
    them.answered(**window(left=2, seconds=30))
    them.pass_(10)
    them.answered(**window(left=1, seconds=20))
    # This one was long on its way.
    them.pass_(5)
    them.answered(**window(left=0, seconds=20))
    assert them.delays(1) == [16]


def test_a_request_whose_answer_is_lost_counts() -> None:
    them = Connected(None)
    them.delays(2)
    them.answered(**window(left=1, seconds=30))
    them.limiter.ended(them.sent.popleft(), answered=False)
    assert them.delays(1) == [31]


@pytest.mark.parametrize("quota", [1, 2, 0, -5, 10**30])
def test_answers_that_are_lost_in_a_new_window_do_not_stop_all_for_ever(quota: int) -> None:
    them = Connected(None)
    them.delays(1)
    them.answered(**window(left=0, seconds=30, quota=quota))
    them.pass_(31)
    for _ in range(5):
        assert them.delays(1) == [0]
        them.limiter.ended(them.sent.popleft(), answered=False)
    assert them.delays(1) == [0]


@pytest.mark.parametrize("name", ["a", '"a b"'])
def test_limits_of_ever_other_names_take_no_room(name: str) -> None:
    them = Connected(None)
    for n in range(500):
        them.delays(1)
        them.answered(ratelimit=f"{name}{n};r=5;t=30")
    assert len(them.limiter._windows) == 16
    them.pass_(40)
    them.delays(1)
    them.answered(ratelimit="another;r=0;t=7")
    assert them.delays(1) == [8]


ABSURD: dict[str, dict[str, object]] = {
    "years": {"ratelimit": '"a";r=0;t=999999999'},
    "years, of an older header": {"x_ratelimit_remaining": 0, "x_ratelimit_reset": 999_999_999},
    "a point in time": {"x_ratelimit_remaining": 0, "x_ratelimit_reset": 1_796_000_000},
    "less than none": {"ratelimit": '"a";r=-1;t=30', "ratelimit_policy": '"a";q=-1'},
    "ten thousand digits": {"ratelimit": f'"a";r=0;t={"9" * 10_000}'},
    "no number": {"ratelimit": '"a";r=0;t=nan'},
    "for ever": {"ratelimit": '"a";r=0;t=inf'},
    "a negative time": {"ratelimit": '"a";r=0;t=-5'},
    "nothing": {"ratelimit": ""},
    "no parameters": {"ratelimit": '"a"'},
}


@pytest.mark.parametrize("headers", ABSURD.values(), ids=ABSURD)
def test_absurd_limits_hold_nobody(headers: dict[str, object]) -> None:
    them = Connected(None)
    them.delays(1)
    them.answered(**headers)
    assert them.delays(3) == [0, 0, 0]


def test_a_limit_that_is_used_up_in_every_answer_holds_for_an_hour_at_most() -> None:
    them = Connected(None)
    for _ in range(5):
        assert them.delays(1) == [0]
        them.answered(ratelimit='"a";r=0;t=3600', ratelimit_policy='"a";q=0')
        assert them.delays(1) == [3601]
        them.pass_(3601)


def test_of_several_limits_that_are_told_each_holds() -> None:
    them = Connected(None)
    policy = '"burst";q=100;w=10, "default";q=1200;w=300'
    them.delays(1)
    them.answered(ratelimit='"burst";r=0;t=5, "default";r=1;t=200', ratelimit_policy=policy)
    assert them.delays(1) == [6]
    them.pass_(6)
    assert them.delays(2) == [0, 0.1]
    them.answered(ratelimit='"burst";r=99;t=10, "default";r=0;t=194', ratelimit_policy=policy)
    assert them.delays(1) == [195]


@pytest.mark.parametrize("requests", [None, 100])
def test_a_refusal_holds_all_and_then_one_goes_ahead(requests: int | None) -> None:
    them = Connected(requests, 100.0)
    assert them.delays(3) == [0, 0, 0]
    them.limiter.refused(60.0)
    them.answered(3)
    assert them.delays(1) == [60]
    them.pass_(60)
    assert them.delays(2) == [0, 1]
    them.limiter.refused(30.0)
    assert them.delays(1) == [30]
    them.pass_(30)
    assert them.delays(2) == [0, 1]
    them.answered()
    assert them.delays(3) == [0, 0, 0]


def test_a_refusal_without_a_time_slows_all_and_stops_none() -> None:
    them = Connected(100, 100.0)
    assert them.delays(3) == [0, 0, 0]
    them.limiter.refused(None)
    assert them.delays(2) == [2, 3]
    them.pass_(2)
    assert them.delays(2) == [0, 1]
    them.answered(4)
    assert them.delays(2) == [1, 2]


def test_what_calls_have_left_that_were_interrupted_is_given_back() -> None:
    them = Connected(4, 8.0)

    def leaves(sends: bool) -> None:
        number = them.limiter.draw(Call())
        if sends:
            them.limiter.delay(number)

    for sends in (False, True, True):
        leaves(sends)
    them.pass_(100)
    assert them.delays(4) == [0, 0, 0, 0]
    them.answered(4, **window(left=3, seconds=30))
    them.pass_(10)
    assert them.delays(1) == [0]


def test_a_caller_that_has_slept_looks_again() -> None:
    them = Connected(1, 10.0)
    assert them.delays(1) == [0]
    number = them.limiter.draw(GOES_ON)
    assert them.limiter.delay(number) == 11
    them.limiter.refused(60.0)
    them.pass_(11)
    assert them.limiter.delay(number) == 49


BLOCK = failed(429, 971, headers={"retry-after": "300"})
WRITTEN, INFO = ANSWERS["POST"], ANSWERS["GET"]


class Scripted:
    """An `Io` over a scripted Cloudflare; to sleep is to let its clock go on."""

    def __init__(self, variant: Variant, *answers: Answer | Exception, **options: Any) -> None:
        self.clock = Clock()
        self.slept: list[float] = []
        self.limiter = RateLimiter(options.pop("limit", RateLimit()), self.clock)
        self.cloudflare = Cloudflare(*answers)
        them = self

        class Io(variant.io_class):  # type: ignore[name-defined, misc]
            async def sleep(self, seconds: float, /) -> None:
                them.slept.append(seconds)
                them.clock.now += seconds

            def now(self) -> float:
                return them.clock.now

        executor = self.cloudflare.executor()
        self.io = Io(executor, options.pop("policy", RetryPolicy()), limiter=self.limiter)

    async def call(self, op: Op[Any]) -> Any:
        return await settled(self.io.call(op))


@both_variants
async def test_a_read_does_not_wait_in_vain(variant: Variant) -> None:
    them = Scripted(variant, INFO, limit=RateLimit(1, 60.0))
    await them.call(READ)
    with pytest.raises(RateLimitError) as caught:
        await them.call(READ)
    assert str(caught.value).startswith(
        "GetInfo(docs): not sent: the rate limit of 1 requests in 60 s, which this client keeps to "
        "(rate_limit=), is used up. It may go in 61 s"
    )
    assert caught.value.retry_after == pytest.approx(61)
    assert (len(them.cloudflare.requests), them.slept) == (1, [])
    them.clock.now += 61
    await them.call(READ)


@both_variants
@pytest.mark.parametrize("seconds", ["31", "3600"])
async def test_where_every_answer_says_that_nothing_is_left_the_next_fails_at_once(
    variant: Variant, seconds: str
) -> None:
    told = {"ratelimit": f'"a";r=0;t={seconds}'}
    them = Scripted(variant, Answer(200, INFO.content, told), limit=None)
    await them.call(READ)
    for _ in range(3):
        with pytest.raises(RateLimitError, match=r"limit of the service is used up, .* share its"):
            await them.call(READ)
    assert (len(them.cloudflare.requests), them.slept) == (1, [])


@both_variants
@pytest.mark.parametrize("headers", ABSURD.values(), ids=ABSURD)
@pytest.mark.parametrize("status", [200, 429])
async def test_calls_go_on_after_absurd_headers(
    variant: Variant, headers: dict[str, object], status: int
) -> None:
    told = {name.replace("_", "-"): str(value) for name, value in headers.items()}
    first = Answer(200, INFO.content, told) if status == 200 else failed(429, 971, headers=told)
    them = Scripted(variant, first, INFO, limit=None)
    for _ in range(3):
        await them.call(READ)
    assert sum(them.slept) <= 3


@both_variants
async def test_a_write_waits_out_a_block_that_another_one_met(variant: Variant) -> None:
    them = Scripted(variant, WRITTEN)
    them.limiter.refused(300.0)
    await them.call(WRITE)
    assert sum(them.slept) == pytest.approx(300)


@both_variants
async def test_waiting_for_the_limit_takes_no_time_from_retries(variant: Variant) -> None:
    them = Scripted(variant, BLOCK, WRITTEN)
    them.limiter.refused(400.0)
    await them.call(WRITE)
    assert 700 <= sum(them.slept) <= 701


OLDER = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "300"}
NEWER = {"ratelimit": '"default";r=0;t=300'}
HOLDS: dict[str, tuple[Answer, tuple[float, float]]] = {
    "429 with a time": (BLOCK, (300, 300)),
    "429 of a limit that is used up": (failed(429, 971, headers=OLDER), (300, 301)),
    "429 of a limit, told anew": (failed(429, 971, headers=NEWER), (300, 301)),
    "429": (failed(429, 971), (0.25, 2)),
    "404 of a limit that is used up": (failed(404, 3000, headers=NEWER), (300, 301)),
    "40041 with a time": (failed(400, 40041, headers={"retry-after": "300"}), (300, 300)),
    "40041": (failed(400, 40041), (0, 0)),
    "40041, with something left": (
        failed(400, 40041, headers={"ratelimit": '"default";r=9;t=300'}),
        (0, 0),
    ),
    "503 with a time": (failed(503, headers={"retry-after": "300"}), (0, 0)),
}


@both_variants
@pytest.mark.parametrize(("answer", "held"), HOLDS.values(), ids=HOLDS)
async def test_for_how_long_all_wait_after_what_one_operation_was_told(
    variant: Variant, answer: Answer, held: tuple[float, float]
) -> None:
    them = Scripted(variant, answer, INFO, policy=RetryPolicy(0, 0))
    with pytest.raises(ApiError):
        await them.call(WRITE)
    least, most = held
    assert least <= them.limiter.delay(them.limiter.draw(GOES_ON)) <= most
    if least > 30:
        # More than a read waits for, whose error says who refused.
        with pytest.raises(RateLimitError, match=r"not sent: the (service has|.* of the service)"):
            await them.call(READ)


@both_variants
async def test_a_pause_that_is_too_long_ends_with_the_real_error(variant: Variant) -> None:
    them = Scripted(variant, failed(503, 1001), INFO, limit=RateLimit(1, 60.0))
    with pytest.raises(ServerError) as caught:
        await them.call(READ)
    assert caught.value.code == 1001
    assert len(them.cloudflare.requests) == 1


@both_variants
async def test_one_that_gives_up_waiting_leaves_its_place_to_others(variant: Variant) -> None:
    them = Scripted(variant, WRITTEN, limit=RateLimit(1, 60.0))
    await them.call(WRITE)
    for _ in range(5):
        with pytest.raises(RateLimitError):
            await them.call(READ)
    await them.call(WRITE)
    assert them.slept == [pytest.approx(61)]


def test_the_limit_of_a_client() -> None:
    def limit(*args: Any, **options: Any) -> RateLimit | None:
        limiter = VectorizeClient(*args, **options).connection.limiter
        assert limiter is not None
        return limiter.limit

    mine = RateLimit(10, 1.0)
    loopback = "http://127.0.0.1:1/client/v4"
    assert limit("a", "t") == RateLimit() == RateLimit(1_200, 300.0)
    assert limit("a", "t", rate_limit=mine) == mine
    assert limit("a", "t", rate_limit=None) is None
    assert limit(base_url=loopback) is None
    assert limit(base_url=loopback, rate_limit=RateLimit()) == RateLimit()
    with VectorizeClient.local() as client:
        assert client.connection.limiter is None


async def test_the_variants_of_a_client_share_its_limit() -> None:
    cloudflare = Cloudflare(ok([]))
    client = VectorizeClient(
        "a", "t", transport=cloudflare, rate_limit=RateLimit(2, 1_000.0), retry=RetryPolicy(0, 0)
    )
    client.list_indexes()
    await client.to_async().list_indexes()
    with pytest.raises(RateLimitError, match="not sent"):
        client.list_indexes()
    assert len(cloudflare.requests) == 2


@pytest.mark.parametrize("limit", [{"requests": 0}, {"period": 0.0}, {"period": math.inf}])
def test_a_limit_that_lets_nothing_through_is_none(limit: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="a rate limit needs"):
        RateLimit(**limit)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_does_not_wait_for_its_parents_requests() -> None:
    program = """
        import os, threading
        from vectorize_core.holds import Call
        from vectorize_core.transport.rate_limit import RateLimiter, RateLimit

        limiter = RateLimiter(RateLimit(3, 1_000.0), lambda: 0.0)
        for _ in range(5):
            limiter.delay(limiter.draw(Call()))
        limiter.learn({"ratelimit": '"default";r=9;t=100'})
        locked, done = threading.Event(), threading.Event()

        def hold():
            with limiter._lock:
                locked.set()
                done.wait()

        thread = threading.Thread(target=hold)
        thread.start()
        locked.wait()
        child = os.fork()
        if child == 0:
            try:
                limiter.learn({"ratelimit": '"default";r=1;t=100'})
                assert not limiter._in_flight
                assert round(limiter.delay(limiter.draw(Call()))) == 334
                os._exit(0)
            finally:
                os._exit(1)
        done.set()
        thread.join()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=60)
