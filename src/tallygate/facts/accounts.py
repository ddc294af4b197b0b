"""Who may call, how much, and what it cost them."""

from tallygate.declare import Dimension, Fact, Gauge, Sum
from tallygate.ledger.schema import Combine


class RateLimited(Fact):
    """One request that a rate limit of ours refused."""

    limit_type = Dimension(
        "which limit, as configured; the gateway's: key_requests, key_tokens, key_concurrency, and so on for user, "
        "model and provider"
    )


class RateLimit(Fact):
    """A rate limit of ours, as whoever looked last saw it."""

    limit_type = Dimension("as RateLimited.limit_type")

    remaining = Gauge("", "what is left of it now", combine=Combine.LATEST)


class APIKeyUse(Fact):
    """One use of an API key that we gave out."""

    api_key_id = Dimension("id of the key, never the key; '' unless this identity is turned on")
    status = Dimension("what came of it: success, expired, inactive, ...")


class APIKeys(Fact):
    """API keys that we gave out, as whoever counted last saw them."""

    status = Dimension("active, inactive, ...")

    now = Gauge("", "how many there are", combine=Combine.LATEST)


class CreditUse(Fact):
    """Credits taken for a call."""

    provider = Dimension("as LLMCall.provider")
    model = Dimension("as LLMCall.model")
    user_id = Dimension("who paid; '' unless this identity is turned on")

    credits = Sum("", "how many, fractions kept", exponent=-9)


class CreditBalance(Fact):
    """Credits left, as whoever looked last saw them."""

    plan_type = Dimension("plan they belong to: free, trial, pro, ...")
    user_id = Dimension("as CreditUse.user_id; '' stands for all users of the plan")

    credits = Gauge("", "how many are left", exponent=-6, combine=Combine.LATEST)


class Trials(Fact):
    """Trial accounts, as whoever counted last saw them."""

    status = Dimension("active, expired, ...")

    now = Gauge("", "how many there are", combine=Combine.LATEST)


class Subscriptions(Fact):
    """Subscriptions, as whoever counted last saw them."""

    plan_type = Dimension("as CreditBalance.plan_type")
    billing_cycle = Dimension("monthly, yearly, ...")

    now = Gauge("", "how many there are", combine=Combine.LATEST)
