"""What happens when a provider fails: further attempts, other models, deployments that are spared."""

from tallygate.declare import Dimension, Distribution, Fact, Gauge, Sum
from tallygate.errors import ERROR_TYPES
from tallygate.facts.words import SECONDS
from tallygate.ledger.schema import Combine


class UpstreamRetry(Fact):
    """An attempt that was made because the one before it, for the same call, had failed."""

    provider = Dimension("whose attempt failed, as LLMCall.provider")
    model = Dimension("of the attempt that failed, as UpstreamAttempt.model")
    reason = Dimension("why it failed, one of errors.ErrorType", values=ERROR_TYPES)
    step = Dimension(
        "who was asked then: the same deployment again, another one of the model, or one of another model",
        values=("again", "elsewhere", "fallback"),
    )

    pause = Distribution("seconds", "time waited between the two attempts", exponent=SECONDS)


class ModelFallback(Fact):
    """A call for which another model was asked, as no deployment of the one before could serve it."""

    from_model = Dimension("the model that was asked for, as configured")
    to_model = Dimension("the model that was asked instead, as configured")


class CoolDown(Fact):
    """A deployment is spared for a while, as its provider said to slow down."""

    provider = Dimension("as LLMCall.provider")
    model = Dimension("as UpstreamAttempt.model")

    spared = Sum("seconds", "for how long", exponent=SECONDS)


class DeploymentBreaker(Fact):
    """The circuit breaker of a deployment came into a state."""

    provider = Dimension("as LLMCall.provider")
    model = Dimension("as UpstreamAttempt.model")
    state = Dimension(
        "closed: in service; open: out of service after failures in a row; half_open: one call tries it",
        values=("closed", "open", "half_open"),
    )

    holds = Gauge("", "1 for the state of the worker whose breaker changed last, else 0", combine=Combine.LATEST)
