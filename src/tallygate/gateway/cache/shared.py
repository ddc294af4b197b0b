"""Answers in Redis or Valkey, for all workers and machines."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING

from tallygate.gateway.cache.answer import Unsound, unpack
from tallygate.gateway.cache.interface import Fill, Found
from tallygate.gateway.state.redis import Redis, Script, StoreAway, StoreRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from tallygate.gateway.cache.answer import Answer

KEYS = tuple(f"{{tallygate:cache}}:{name}" for name in ("answers", "uses", "ends", "bytes", "teller"))
"""Answers by digest; digests by last use, and by end; bytes in all; which worker tells how full it is. All on one
node of a cluster."""

OVERHEAD = 430
"""Bytes that an entry takes in the server beside its answer: its digest, three times, and places in three tables."""

TELLS_MILLISECONDS = 15_000
"""How long a worker that tells how full the store is may be silent before another one does."""

_STAMP = 16
"""Digits before an answer: when it was given, in milliseconds by the server's clock."""

_HEAD = f"""
local answers, uses, ends, bytes = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local now = tonumber(ARGV[1])
if now < 0 then
    local time = redis.call('TIME')
    now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local function weight(size)
    -- jemalloc, which servers use, has four sizes of memory between a power of two and the next
    local _, exponent = math.frexp(size)
    local step = 2 ^ (exponent - 3)
    return math.ceil(size / step) * step + {OVERHEAD}
end
local function forget(digest)
    local size = redis.call('HSTRLEN', answers, digest)
    if redis.call('ZREM', uses, digest) == 1 then
        redis.call('DECRBY', bytes, weight(size))
    end
    redis.call('HDEL', answers, digest)
    redis.call('ZREM', ends, digest)
end
local function forget_ended(most)
    for _, digest in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', now, 'LIMIT', 0, most)) do
        forget(digest)
    end
end
"""

GET = Script(
    f"""{_HEAD}
local digest, live, idle, max_age = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local ending = redis.call('ZSCORE', ends, digest)
if not ending then return false end
local answer = redis.call('HGET', answers, digest)
local since = answer and tonumber(string.sub(answer, 1, {_STAMP}))
if not since or tonumber(ending) <= now then
    forget(digest)
    return false
end
if max_age >= 0 and now - since > max_age then return false end
redis.call('ZADD', uses, now, digest)
if idle > 0 then redis.call('ZADD', ends, math.min(since + live, now + idle), digest) end
return {{answer, now - since}}
"""
)

PUT = Script(
    f"""{_HEAD}
local digest, answer, live, idle, capacity = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
if redis.call('EXISTS', bytes) == 0 then redis.call('DEL', answers, uses, ends) end
forget(digest)
forget_ended(100)
local added = weight({_STAMP} + #answer)
if added > capacity then return 0 end
while tonumber(redis.call('GET', bytes) or 0) + added > capacity do
    local oldest = redis.call('ZRANGE', uses, 0, 0)[1]
    if not oldest then -- the tables do not belong together any more: somebody else took one away
        redis.call('DEL', answers, ends, bytes)
        break
    end
    forget(oldest)
end
redis.call('HSET', answers, digest, string.format('%0{_STAMP}.0f', now) .. answer)
redis.call('ZADD', uses, now, digest)
redis.call('ZADD', ends, now + (idle > 0 and math.min(live, idle) or live), digest)
redis.call('INCRBY', bytes, added)
for index = 1, 4 do redis.call('PEXPIRE', KEYS[index], live) end
return 1
"""
)

FILL = Script(
    f"""{_HEAD}
forget_ended(1000)
local teller = redis.call('GET', KEYS[5])
if teller and teller ~= ARGV[2] then return false end
redis.call('SET', KEYS[5], ARGV[2], 'PX', ARGV[3])
return {{tonumber(redis.call('GET', bytes) or 0), redis.call('ZCARD', uses)}}
"""
)

LEAVE = Script("if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end")


class SharedStore:
    """A least-recently-used cache by bytes in the server's memory, kept by scripts: each step is atomic.

    Times are the server's, so the clocks of machines do not matter. Entries end by age, and when nobody asks for them.
    """

    def __init__(
        self,
        redis: Redis,
        capacity: int,
        time_to_live: float,
        time_to_idle: float | None,
        failed: Callable[[str], None],
        clock: Callable[[], float] | None = None,
    ) -> None:
        """capacity: bytes. Times: seconds. failed: told of what could not be done, as ``store`` or ``read``.

        clock: in seconds; None for the server's.
        """
        self._redis, self._failed = redis, failed
        self._capacity = int(capacity)
        self._live = max(1, int(time_to_live * 1000))
        self._idle = 0 if time_to_idle is None else max(1, int(time_to_idle * 1000))
        self._clock = clock
        self._name = os.urandom(8).hex()
        self._writing: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """As Store.start. Raises StoreRefused."""
        await self._redis.start()

    async def close(self) -> None:
        """As Store.close: what is being written is written, and another worker may tell how full it is."""
        await self.written()
        with contextlib.suppress(StoreAway, StoreRefused):  # it will be noticed that this one says nothing any more
            await self._redis.run(LEAVE, KEYS[4:], (self._name,))
        await self._redis.close()

    async def get(self, key: bytes, max_age: int | None) -> Found | None:
        """As Store.get."""
        oldest = -1 if max_age is None else max_age * 1000
        try:
            reply = await self._redis.run(GET, KEYS[:4], (self._now(), key, self._live, self._idle, oldest))
            if reply is None:
                return None
            packed, age = reply
            return Found(unpack(packed[_STAMP:]), max(0, age) / 1000)
        except (StoreAway, StoreRefused, Unsound):
            self._failed("read")
            return None

    def put(self, key: bytes, answer: Answer) -> None:
        """As Store.put."""
        task = asyncio.get_running_loop().create_task(self._put(key, answer.pack()))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def written(self) -> None:
        """Until what was put so far is there."""
        if self._writing:
            await asyncio.wait(self._writing)

    async def _put(self, key: bytes, packed: bytes) -> None:
        try:
            arguments = (self._now(), key, packed, self._live, self._idle, self._capacity)
            await self._redis.run(PUT, KEYS[:4], arguments)
        except (StoreAway, StoreRefused):
            self._failed("store")

    def _now(self) -> int:
        """Milliseconds; below 0 where the server is to look at its clock."""
        return -1 if self._clock is None else int(self._clock() * 1000)

    async def fill(self) -> Fill | None:
        """As Store.fill: one worker of all machines tells it, so that the sum over workers is right."""
        try:
            reply = await self._redis.run(FILL, KEYS, (self._now(), self._name, TELLS_MILLISECONDS))
        except (StoreAway, StoreRefused):
            return None
        return None if reply is None else Fill(*reply)

    async def purge(self) -> None:
        """As Store.purge."""
        await self._redis.call(b"UNLINK", *KEYS[:4])
