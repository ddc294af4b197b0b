"""Settings of rate limits: requests and tokens per minute, concurrency."""

from __future__ import annotations

from pydantic import Field

from tallygate.gateway.settings.kinds import Count, Text
from tallygate.gateway.settings.section import Section


class AllowanceSettings(Section):
    """What may be used; unset: without limit."""

    requests_per_minute: Count | None = Field(default=None, description="requests per minute")
    tokens_per_minute: Count | None = Field(default=None, description="input and output tokens per minute")
    concurrency: Count | None = Field(default=None, description="requests at the same time")


class RateSettings(Section):
    """Rate limits of the gateway's own; a key's or user's own limits go before `key` and `user`."""

    key: AllowanceSettings = AllowanceSettings()
    user: AllowanceSettings = AllowanceSettings()
    models: dict[Text, AllowanceSettings] = Field(
        default_factory=dict, description="by the name that callers ask for, of all callers together"
    )
    providers: dict[Text, AllowanceSettings] = Field(
        default_factory=dict, description="by a provider's name, of all callers together"
    )
    assumed_output_tokens: Count = Field(
        default=1000,
        description="tokens that an answer may have, as far as limits and credits go, when the request does not say",
    )
