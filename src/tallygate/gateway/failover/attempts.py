"""The attempts of a request that was not served at once: whom to ask next, after which pause, until when."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from time import perf_counter
from typing import TYPE_CHECKING

import structlog

from tallygate.errors import ErrorType
from tallygate.gateway.asking import ask
from tallygate.gateway.failover.backoff import not_before
from tallygate.gateway.failover.judging import Failure, error_in, judge
from tallygate.gateway.failover.replies import Kept, keep
from tallygate.gateway.refusal import Refusal
from tallygate.gateway.upstream import Reply, UpstreamError
from tallygate.record.nothing import NO_CALL

log = structlog.get_logger("tallygate.gateway")

if TYPE_CHECKING:
    from tallygate.gateway.exchange import Exchange
    from tallygate.gateway.failover.deployments import Deployment
    from tallygate.gateway.parts import Parts


class Trail:
    """What went before the attempt that a request is at."""

    __slots__ = ("before", "made", "noted", "rate_limits")

    def __init__(self) -> None:
        self.before = 0.0
        """Seconds of the call before it was counted as the deployment's that is asked now."""
        self.made = 0
        """Attempts so far."""
        self.rate_limits = 0
        """Answers among them that told to slow down."""
        self.noted = False
        """Whether the deployment's breaker knows how the last attempt ended."""


class Attempts:
    """Asks one deployment after the other until one answers, nobody is left, or it was often or long enough.

    The deployments of the model are asked first, each once; after a pause again, as often as is configured; then those
    of its fallbacks.
    """

    def __init__(self, parts: Parts, exchange: Exchange) -> None:
        target, deployment = exchange.target, exchange.deployment
        assert target is not None
        assert deployment is not None
        assert exchange.head is not None
        self._parts, self._exchange, self._head = parts, exchange, exchange.head
        self._policy = parts.failover
        self._trail = exchange.trail = Trail()
        self._asked_for = self._asked = self._target = target
        """The model that the caller named, the one asked last, and the one whose turn it is."""
        self._following = iter(target.fallbacks)
        self._first = deployment
        self._tried: set[Deployment] = set()
        """Not to be asked in this round."""
        self._never: set[Deployment] = set()
        """Not to be asked at all any more."""
        self._not_before: dict[Deployment, float] = {}
        """By the clock, as their providers asked; whatever is remembered of it for other requests."""
        self._rounds = 0
        """How often the deployments of the target were asked again."""
        self._pause = 0.0
        self._last: Failure | None = None
        self._kept: tuple[Kept, Deployment] | None = None
        """The last answer there was, and whose."""
        self._problem: UpstreamError | None = None
        self._refusal: Refusal | None = None

    async def begin(self) -> Reply:
        """Ask whoever can be asked. Raises UpstreamError, Refusal."""
        try:
            return await self._go_on(None)
        finally:
            self._tell()

    async def after(self, outcome: Reply | UpstreamError) -> Reply:
        """The first deployment has answered so, or not at all: go on if need be. Raises UpstreamError, Refusal."""
        self._trail.made = 1
        self._tried.add(self._first)
        try:
            judged = await self._judge(self._first, outcome)
            return await self._go_on(judged) if isinstance(judged, Failure) else judged
        finally:
            self._tell()

    async def refused(self, refusal: Refusal) -> Reply:
        """A limit of ours stands before the first deployment: ask another. Raises UpstreamError, Refusal."""
        self._tried.add(self._first)
        self._refusal = refusal
        return await self.begin()

    # One attempt

    async def _judge(self, deployment: Deployment, outcome: Reply | UpstreamError) -> Reply | Failure:
        """Whether an attempt failed in a way that another may not; what that says of the deployment is noted."""
        judged = await judge(self._parts, self._exchange, deployment, outcome, looks=self._asked_for.has_choice)
        if isinstance(judged, Failure):
            self._trail.noted = True
            self._policy.failed(self._exchange, deployment, judged.error_type.value, judged.wait)
            if not judged.again:
                self._never.add(deployment)
            elif judged.wait:
                self._not_before[deployment] = self._policy.clock() + judged.wait
        return judged

    # From one attempt to the next

    async def _go_on(self, failure: Failure | None) -> Reply:
        """Until there is a reply to pass on. failure: of the attempt before, if there was one."""
        while True:
            step = self._next()
            if step is None:
                return await self._give_up(failure)
            if failure is not None:
                await self._leave(failure)
                failure = None
            if isinstance(step, float):
                await self._wait(step)
            elif await self._may_ask(step):
                judged = await self._judge(step, await self._ask(step))
                if not isinstance(judged, Failure):
                    return judged
                failure = judged

    def _next(self) -> Deployment | float | None:
        """Whom to ask now, or how long to wait first; None when it is over."""
        if self._trail.made >= self._policy.settings.attempts or self._left() <= 0:
            return None
        now = self._policy.clock()
        early = {deployment for deployment, moment in self._not_before.items() if now < moment}
        while True:
            deployment = self._target.pick(now, self._tried | early)
            if deployment is not None:
                return deployment
            pause = self._until_next_round(now)
            if pause is not None:
                self._rounds += 1
                self._tried = set(self._never)
                return pause
            following = next(self._following, None)
            if following is None:
                break
            self._target, self._rounds, self._tried = following, 0, self._tried | self._never
        return None if self._trail.made else self._resting(now)

    def _until_next_round(self, now: float) -> float | None:
        """Seconds before the deployments of the target are asked again; None when they are not."""
        settings = self._policy.settings
        if self._rounds >= settings.retries or not self._trail.made:
            return None
        willing = [
            place.deployment
            for place in self._target.places
            if place.deployment not in self._never and not place.deployment.is_out(now)
        ]
        if not willing:
            return None
        asked_for = min(max(one.cooling_until, self._not_before.get(one, 0.0)) for one in willing) - now
        pause = self._policy.pause(self._rounds + 1)
        if asked_for > 0:
            pause = max(pause, not_before(asked_for, self._policy.chance()))
        return pause if asked_for <= settings.longest_backoff_seconds and pause < self._left() else None

    def _resting(self, now: float) -> Deployment | None:
        """When all only rest, the provider of one may say itself that it is too early."""
        for target in (self._asked_for, *self._asked_for.fallbacks):
            deployment = target.soonest_rested(now, self._tried)
            if deployment is not None:
                self._target = target
                return deployment
        return None

    def _left(self) -> float:
        """Seconds that are left of the time for the whole request."""
        total, began = self._first.provider.timeouts.total, self._exchange.dispatched_at
        return total - (perf_counter() - began if began else 0.0)

    async def _wait(self, seconds: float) -> None:
        """A pause is waiting for the provider, too."""
        since = perf_counter()
        try:
            await self._policy.sleep(seconds)
        finally:
            waited = perf_counter() - since
            self._exchange.waited += waited
            self._pause += waited

    async def _may_ask(self, deployment: Deployment) -> bool:
        """Whether our own limits and its breaker let an attempt through."""
        exchange, gate = self._exchange, self._parts.gate
        if gate is not None:
            refusal = await gate.try_provider(exchange, deployment.provider.name)
            if refusal is not None:
                self._refusal = refusal
                self._tried.add(deployment)
                return False
        breaker = deployment.breaker
        if breaker is not None and not breaker.begin(exchange, self._policy.clock()):
            self._tried.add(deployment)
            return False
        return True

    async def _ask(self, deployment: Deployment) -> Reply | UpstreamError:
        exchange, trail, timeouts = self._exchange, self._trail, deployment.provider.timeouts
        self._turn_to(deployment)
        self._count(deployment)
        self._tried.add(deployment)
        trail.made += 1
        trail.noted = False
        exchange.upstream_status = 0
        # A caller's own key is meant for the provider that was asked first, and for no other.
        keep = self._parts.forwards_credentials and deployment.provider is self._first.provider
        try:
            timeouts = replace(timeouts, total=min(timeouts.total, max(self._left(), 0.001)))
            return await ask(self._parts, exchange, deployment, timeouts, keep_credentials=keep)
        except UpstreamError as problem:
            if problem.error_type is ErrorType.PROVIDER_TIMEOUT and self._left() <= 0:
                total = self._first.provider.timeouts.total
                return UpstreamError(problem.error_type, f"{trail.made} attempts did not succeed within {total:g} s")
            return problem
        except BaseException:
            if deployment.breaker is not None:
                deployment.breaker.released(exchange)
            raise

    def _turn_to(self, deployment: Deployment) -> None:
        """From now on the call counts as this deployment's."""
        exchange, trail, recording = self._exchange, self._trail, self._parts.recording
        call = exchange.call
        if call is None:
            exchange.call = recording.start_call(exchange, deployment, self._head)
        elif deployment is not exchange.deployment:
            trail.before += call.elapsed
            if call is not NO_CALL:
                call.close(None)
            exchange.call = recording.start_call(exchange, deployment, self._head)
            for _ in range(trail.rate_limits):
                exchange.call.rate_limited()
        exchange.deployment = deployment
        exchange.batch = None if trail.made else exchange.batch

    def _count(self, deployment: Deployment) -> None:
        """The facts of an attempt that follows another, and of one at another model."""
        tally, failure = self._parts.tally, self._last
        falls_back = self._target is not self._asked
        if failure is not None:
            step = "again" if deployment is failure.deployment else "elsewhere"
            tally.upstream_retry(
                provider=failure.deployment.provider.name,
                model=failure.deployment.label,
                reason=failure.error_type.value,
                step="fallback" if falls_back else step,
                pause=self._pause,
            )
        if falls_back:
            tally.model_fallback(self._asked.name, self._target.name)
        self._asked, self._pause = self._target, 0.0

    async def _leave(self, failure: Failure) -> None:
        """Another attempt follows: keep this answer in case that there is no better one, and record the attempt."""
        exchange, trail, call = self._exchange, self._trail, self._exchange.call
        assert call is not None
        if failure.reply is not None:
            since = perf_counter()
            kept = await keep(failure.reply)
            exchange.waited += perf_counter() - since
            if kept is not None:
                self._kept = kept, failure.deployment
                failure.error_type = error_in(self._parts, exchange, kept, kept.data) or failure.error_type
        else:
            self._problem = failure.problem
        call.attempt(
            status_code=exchange.upstream_status or "network_error",
            error_type=failure.error_type.value,
            seconds=perf_counter() - exchange.asked_at,
            seconds_to_headers=exchange.headers_at - exchange.asked_at if exchange.upstream_status else None,
        )
        exchange.asked_at = 0.0
        log.info(
            "attempt failed, another follows",
            provider=failure.deployment.provider.name,
            error_type=failure.error_type.value,
            problem=str(failure.problem or f"status {exchange.upstream_status}"),
        )
        if failure.error_type is ErrorType.PROVIDER_RATE_LIMIT:
            trail.rate_limits += 1
            call.rate_limited()
        self._last = failure

    # The end

    async def _give_up(self, failure: Failure | None) -> Reply:
        """Nobody else is asked: the last answer of a provider goes to the client; else what went wrong last."""
        if failure is not None and failure.reply is not None:
            return failure.reply
        if self._kept is not None:
            if failure is not None:
                await self._leave(failure)
            reply, deployment = self._kept
            self._turn_to(deployment)
            self._trail.noted = True
            self._exchange.upstream_status, self._exchange.headers_at = reply.status, perf_counter()
            return reply
        problem = failure.problem if failure is not None else self._problem
        if failure is None and self._refusal is not None:
            raise self._refusal
        if problem is not None:
            raise problem
        raise self._out_of_service()

    def _out_of_service(self) -> Refusal:
        """All breakers are open: no provider was asked."""
        now = self._policy.clock()
        out = [
            (place.deployment.breaker, place.deployment)
            for target in (self._asked_for, *self._asked_for.fallbacks)
            for place in target.places
        ]
        soonest, deployment = min(
            ((breaker.until, deployment) for breaker, deployment in out if breaker is not None),
            key=lambda pair: pair[0],
            default=(now, self._first),
        )
        cause = deployment.breaker.cause if deployment.breaker is not None else ""
        seconds = max(1, ceil(soonest - now))
        self._turn_to(self._first)
        message = (
            f"no deployment of '{self._asked_for.name}' is in service: provider '{deployment.provider.name}' failed "
            f"too often in a row ({cause}); it is tried again in {seconds} s"
        )
        error_type = ErrorType(cause) if cause else ErrorType.PROVIDER_SERVER_ERROR
        return Refusal(503, error_type, message, [(b"retry-after", b"%d" % seconds)])

    def _tell(self) -> None:
        """Say in the answer's headers who gave it, where that was not clear beforehand."""
        if self._asked_for.has_choice or self._trail.made > 1:
            self._policy.tell(self._exchange, self._trail.made)
