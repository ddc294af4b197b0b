"""What can be done with the response cache."""

from __future__ import annotations

from msgspec import Struct

from tallygate.gateway.admin.operations import Asked, Operation
from tallygate.gateway.admin.problems import Refused
from tallygate.gateway.state.redis import StoreAway, StoreRefused


class Purged(Struct):
    """All answers that were kept are forgotten."""

    purged: bool = True


async def purge_cache(asked: Asked) -> Purged:
    # Where there are accounts, a key may ask for it.
    assert asked.cache is not None
    try:
        await asked.cache.purge()
    except (StoreAway, StoreRefused):
        retry = [(b"retry-after", b"5")]
        raise Refused(503, "the response cache cannot be reached", mend="try again", headers=retry) from None
    return Purged()


OPERATIONS = (Operation("POST", "/admin/cache/purge", "purgeCache", "Forget all kept answers", purge_cache, Purged),)
