"""Whether an attempt failed in a way that another may not."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

from tallygate.errors import ErrorType, error_type_of_status
from tallygate.facts import LLMCall
from tallygate.gateway.failover.backoff import requested_wait
from tallygate.gateway.failover.policy import OF_A_KEY
from tallygate.gateway.failover.replies import begun, failure_in
from tallygate.gateway.upstream import Reply, UpstreamError

if TYPE_CHECKING:
    from tallygate.gateway.exchange import Exchange
    from tallygate.gateway.failover.deployments import Deployment
    from tallygate.gateway.parts import Parts


@dataclass(slots=True)
class Failure:
    """An attempt that failed in a way that another may not."""

    deployment: Deployment
    error_type: ErrorType
    reply: Reply | None = None
    """The answer, still open."""
    problem: UpstreamError | None = None
    wait: float | None = None
    """Seconds that the provider asked for."""
    again: bool = True
    """Whether it makes sense to ask the same deployment again."""


async def judge(
    parts: Parts, exchange: Exchange, deployment: Deployment, outcome: Reply | UpstreamError, *, looks: bool
) -> Reply | Failure:
    """The reply to pass on, or why there should be another attempt.

    looks: whether a stream is not passed on before its first piece is here. Raises UpstreamError when the gateway gave
    the attempt up by itself.
    """
    if isinstance(outcome, UpstreamError):
        if outcome.error_type is ErrorType.GATEWAY_INTERNAL:
            if deployment.breaker is not None:
                deployment.breaker.released(exchange)
            raise outcome
        return Failure(deployment, outcome.error_type, problem=outcome)
    if outcome.status < 400:
        return await _look_into(parts, exchange, deployment, outcome) if looks and exchange.stream else outcome
    if not parts.failover.is_failure(deployment, outcome.status):
        return outcome
    wait = requested_wait(dict(outcome.headers), parts.failover.wall_clock())
    error_type, again = error_type_of_status(outcome.status), outcome.status not in OF_A_KEY
    return Failure(deployment, error_type, outcome, wait=wait, again=again)


async def _look_into(parts: Parts, exchange: Exchange, deployment: Deployment, reply: Reply) -> Reply | Failure:
    """A stream may begin with an error, or break off at once: its head is not sent before that is known."""
    since = perf_counter()
    try:
        opened = await begun(reply)
    except UpstreamError as problem:
        return Failure(deployment, problem.error_type, problem=problem)
    finally:
        exchange.waited += perf_counter() - since
    if not opened.first:
        return Failure(deployment, ErrorType.PROVIDER_STREAM_CUT, opened)
    found = error_in(parts, exchange, opened, opened.first) if b"error" in opened.first else None
    if found is not None and found.domain == "provider":
        return Failure(deployment, found, opened)
    return opened


def error_in(parts: Parts, exchange: Exchange, reply: Reply, data: bytes) -> ErrorType | None:
    """What a failed answer, or the beginning of a stream, says that went wrong; None when it does not."""
    wire = exchange.route.wire
    assert wire is not None
    try:
        return failure_in(wire, reply, data, stream=exchange.stream and reply.status < 400)
    except Exception as problem:  # a meter failed, which is a defect of ours
        parts.tally.failed(LLMCall, problem)
        return None
