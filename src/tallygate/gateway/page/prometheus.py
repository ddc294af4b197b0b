"""Figures asked of a Prometheus that scrapes the gateway."""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlencode, urlsplit

import msgspec
import structlog

from tallygate.gateway.page.asked import FAILURES, Asked, Found, figures_of, queries, window_of
from tallygate.gateway.page.figures import RANGES, STEPS, Figures
from tallygate.gateway.page.source import blank, steps
from tallygate.gateway.upstream import Timeouts, UpstreamError, open_upstream

if TYPE_CHECKING:
    from tallygate.gateway.settings.dashboard import DashboardSettings

log = structlog.get_logger("tallygate.gateway")

PATIENCE: Final = 10.0
"""Seconds for all the queries of a range together."""
TIMEOUTS: Final = Timeouts(connect=3, first_byte=PATIENCE, idle=PATIENCE, total=PATIENCE)
AT_ONCE: Final = 6
"""Queries that are asked at the same time."""
REPLY_BYTES: Final = 8 * 1024 * 1024


class Away(Exception):
    """Prometheus could not tell. The message says why, without any secret."""


class _Sample(msgspec.Struct):
    metric: dict[str, str]
    value: tuple[float, str] | None = None
    values: list[tuple[float, str]] = []


class _Data(msgspec.Struct):
    result: list[_Sample]


class _Reply(msgspec.Struct):
    data: _Data


class FromPrometheus:
    """Asks for a range once a tick, when somebody looks at it. While Prometheus is away the last figures stay."""

    def __init__(
        self,
        settings: DashboardSettings,
        providers: Sequence[str],
        custom: Sequence[str],
        about: Callable[..., Figures],
        ca_file: str | None,
    ) -> None:
        """custom: names of the custom labels and identities. ca_file: of further authorities that are trusted."""
        assert settings.prometheus_url is not None
        parts = urlsplit(settings.prometheus_url.get_secret_value())
        user, _, host = parts.netloc.rpartition("@")
        self._host, self._base = host, f"{parts.scheme}://{host}{parts.path}/api/v1"
        self._headers = [(b"accept", b"application/json"), (b"accept-encoding", b"identity")]
        if settings.prometheus_token is not None:
            token = settings.prometheus_token.get_secret_value()
            self._headers.append((b"authorization", f"Bearer {token}".encode()))
        elif user:
            self._headers.append((b"authorization", b"Basic " + b64encode(unquote(user).encode())))
        self._settings, self._providers, self._custom, self._about = settings, providers, tuple(custom), about
        self._client = open_upstream(ca_file=ca_file)
        self._places = asyncio.Semaphore(AT_ONCE)
        self._locks = {range: asyncio.Lock() for range in RANGES}
        self._known: dict[str, tuple[int, Figures]] = {}
        self._looks = 0
        self._away = False

    async def start(self) -> None:
        """Nothing is asked before somebody looks."""

    async def close(self) -> None:
        await self._client.close()

    async def look(self) -> None:
        """What was asked is old."""
        self._looks += 1

    async def figures(self, range: str) -> Figures:
        async with self._locks[range]:
            known = self._known.get(range)
            if known is not None and known[0] == self._looks:
                return known[1]
            looks, now = self._looks, time.time()
            try:
                figures = await self._ask(range, now)
                self._away = False
            except Away as problem:
                if not self._away:
                    log.warning("the live page's Prometheus does not answer", problem=str(problem))
                self._away = True
                before = known[1] if known is not None else self._about(**blank(range, now))
                figures = msgspec.structs.replace(before, now=now, problem=str(problem))
            self._known[range] = (looks, figures)
            return figures

    async def _ask(self, range: str, now: float) -> Figures:
        """Raises Away."""
        asked = queries(range, self._custom, self._settings.prometheus_scrape_seconds, self._settings.prometheus_job)
        scrape = self._settings.prometheus_scrape_seconds
        step, window = STEPS[range], window_of(range, scrape)
        # Of whole steps only: the rate over a step is known at its end.
        last = int(now // step) * step
        ends = [last - seconds for seconds in reversed(steps(range))]
        span = {"start": ends[0], "end": last, "step": step}
        stride = window - scrape
        apart = {"start": now - (RANGES[range] - window) // stride * stride, "end": now, "step": stride}
        spans = {name: apart if name == FAILURES else span for name in asked.curves}
        asking = {
            **{name: ("query_range", {"query": str(query), **spans[name]}) for name, query in asked.curves.items()},
            **{f"= {name}": ("query", {"query": str(query), "time": now}) for name, query in asked.sums.items()},
        }
        try:
            async with asyncio.timeout(PATIENCE):
                found = await self._all(asking)
        except TimeoutError:
            raise Away(f"Prometheus at {self._host} did not answer within {PATIENCE:g} s") from None
        answers = Asked({name: found[name] for name in asked.curves}, {name: found[f"= {name}"] for name in asked.sums})
        return figures_of(answers, range, now, ends, self._providers, self._about)

    async def _all(self, asking: dict[str, tuple[str, dict[str, object]]]) -> dict[str, Found]:
        """The answers; when one fails, the others are not waited for. Raises Away."""
        tasks = [asyncio.create_task(self._query(*each)) for each in asking.values()]
        try:
            return dict(zip(asking, await asyncio.gather(*tasks), strict=True))
        finally:
            for task in tasks:
                task.cancel()

    async def _query(self, what: str, parameters: dict[str, object]) -> Found:
        """The series of a query. Raises Away."""
        url, body = f"{self._base}/{what}", urlencode(parameters).encode()
        headers = [*self._headers, (b"content-type", b"application/x-www-form-urlencoded")]
        async with self._places:
            try:
                reply = await self._client.send("POST", url, headers, body, TIMEOUTS)
                pieces, size = [], 0
                try:
                    async for piece in reply.body():
                        pieces.append(piece)
                        size += len(piece)
                        if size > REPLY_BYTES:
                            raise Away(f"Prometheus at {self._host} answers with more than {REPLY_BYTES} bytes")
                finally:
                    await reply.close()
            except UpstreamError as problem:
                raise Away(f"Prometheus cannot be reached: {problem}") from None
        if reply.status != 200:
            mend = "; see dashboard.prometheus_token" if reply.status in (401, 403) else ""
            raise Away(f"Prometheus at {self._host} answered {reply.status}{mend}")
        try:
            found = msgspec.json.decode(b"".join(pieces), type=_Reply).data.result
            return [
                (one.metric, {at: float(value) for at, value in one.values or ([one.value] if one.value else [])})
                for one in found
            ]
        except (msgspec.MsgspecError, ValueError):
            raise Away(f"what answers at {self._host} is no Prometheus") from None
