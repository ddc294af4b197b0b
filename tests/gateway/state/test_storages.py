"""The shared server's windows as a storage of ``limits``."""

from __future__ import annotations

import pytest
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.storage import storage_from_string

from tallygate.gateway.state.interface import WindowAsk
from tallygate.gateway.state.rates import PerMinute
from tallygate.gateway.state.remote import RemoteStore
from tallygate.gateway.state.storages import LocalStorage, RemoteStorage
from tests.gateway.state.stores import granted, refused


@pytest.mark.xdist_group("redis")
async def test_strategies_see_and_hit_what_the_gateway_counts(redis_url: str) -> None:
    storage = storage_from_string(f"async+tallygate+{redis_url}")
    assert isinstance(storage, RemoteStorage)
    assert await storage.check()
    store = RemoteStore(redis_url, 5.0)
    await store.start()
    limiter, item = SlidingWindowCounterRateLimiter(storage), PerMinute(5)
    key = item.key_for("key", "k1", "requests").encode()
    assert key == b"key/k1/requests"
    await granted(store, [WindowAsk(key, 5, 3)], [])
    assert (await limiter.get_window_stats(item, "key", "k1", "requests")).remaining == 2
    assert await limiter.hit(item, "key", "k1", "requests")
    assert not await limiter.hit(item, "key", "k1", "requests", cost=2)
    assert await refused(store, [WindowAsk(key, 5, 2)], []) == (0, 1)
    await limiter.clear(item, "key", "k1", "requests")
    await granted(store, [WindowAsk(key, 5, 5)], [])
    await store.close()
    await storage.close()


@pytest.mark.parametrize("name", ["incr", "get", "get_expiry", "clear"])
def test_what_does_not_slide_is_refused(name: str, tmp_path: object) -> None:
    storage = LocalStorage(f"tallygate://{tmp_path}/state")
    assert storage.check()
    with pytest.raises(NotImplementedError, match="use the sliding window counter"):
        getattr(storage, name)("key", *([60] if name == "incr" else []))
    storage.close()
