"""A wait while the rate limit is used up: it goes on looking when it may."""

from __future__ import annotations

import pytest

from tests.core.helpers import Variant, both_variants
from tests.core.state.waits import World, record
from vectorize_core.errors import WaitTimeoutError
from vectorize_core.transport.rate_limit import RateLimiter


@both_variants
@pytest.mark.parametrize("patience", [180.0, 30.0])
async def test_a_hold_of_the_rate_limit_is_waited_out(variant: Variant, patience: float) -> None:
    world = World(variant, process_delay=10.0)
    client = world.client()
    limiter = RateLimiter(None, clock=lambda: world.now)
    client.io._limiter = limiter  # type: ignore[attr-defined]
    mutations = await client.upsert(record("a"))
    limiter.refused(100.0)
    if patience > 100.0:
        await client.wait(patience)
        world.assert_not_early(mutations, ["a"])
    else:
        with pytest.raises(WaitTimeoutError) as caught:
            await client.wait(patience)
        assert "rate limit" in str(caught.value.__cause__)
    world.close()
