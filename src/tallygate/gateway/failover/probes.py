"""Active health probes: each worker asks each provider for something cheap now and then."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import structlog

from tallygate.gateway.failover.replies import keep
from tallygate.gateway.upstream import Timeouts, Upstream, UpstreamError

if TYPE_CHECKING:
    from tallygate.gateway.failover.deployments import Deployment
    from tallygate.gateway.providers import Provider

log = structlog.get_logger("tallygate.gateway")


class Probes:
    """Tells whether providers are there. Any answer below 500 will do, a refusal of the key included.

    Deployments of one that is not are asked only when no other can be.
    """

    def __init__(
        self,
        upstream: Upstream,
        providers: Sequence[Provider],
        deployments: Iterable[Deployment],
        every: float,
        timeout: float,
    ) -> None:
        """every: seconds between two probes of a provider, give or take a tenth. timeout: seconds for its answer."""
        self._upstream, self._providers, self._deployments = upstream, providers, deployments
        self._every, self._timeouts = every, Timeouts(timeout, timeout, timeout, timeout)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self._tasks = [asyncio.create_task(self._watch(provider)) for provider in self._providers]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _watch(self, provider: Provider) -> None:
        while True:
            try:
                await self.probe(provider)
            except Exception:
                log.exception("probe failed", provider=provider.name)
            await asyncio.sleep(self._every * random.uniform(0.9, 1.1))

    async def probe(self, provider: Provider) -> None:
        """Ask a provider once, and note whether it answered."""
        url, headers = provider.probe()
        try:
            reply = await self._upstream.send("GET", url, headers, b"", self._timeouts)
        except UpstreamError as error:
            problem = str(error)
        else:
            await keep(reply)
            problem = "" if reply.status < 500 else f"it answered with status {reply.status}"
        if provider.reachable == (not problem):
            return
        provider.reachable = not problem
        if problem:
            log.warning("provider does not answer probes", provider=provider.name, problem=problem)
            for deployment in self._deployments:
                if deployment.provider is provider:
                    deployment.troubled = True
        else:
            log.info("provider answers probes again", provider=provider.name)
