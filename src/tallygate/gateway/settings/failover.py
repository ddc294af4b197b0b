"""Settings of models that several deployments serve, and of what happens when one fails."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tallygate.gateway.settings.kinds import Count, Listed, Seconds, SomeSeconds, Text, Truth, Words
from tallygate.gateway.settings.section import Section


class DeploymentSettings(Section):
    """A place where a model is served."""

    provider: Text = Field(description="name of a configured provider")
    model: Text | None = Field(default=None, description="the name to ask it for; unset: the model's own")
    weight: Count = Field(default=1, description="its share among the deployments of the same priority")
    priority: Count = Field(default=1, description="1 is asked first; others only when those before cannot serve")


class RoutedModelSettings(Section):
    """A model that several deployments serve."""

    deployments: Annotated[tuple[DeploymentSettings, ...], Listed] = Field(
        min_length=1, description="where it is served"
    )
    fallbacks: Words = Field(default=(), description="models to ask for instead when no deployment can serve it")


class FailoverSettings(Section):
    """What happens when a provider fails before the first byte of its answer went to the client."""

    attempts: Count = Field(default=3, description="how often a request is tried, over all deployments and fallbacks")
    backoff_seconds: SomeSeconds = Field(
        default=0.5, description="pause before the second try of one deployment; doubled each time, with jitter"
    )
    longest_backoff_seconds: Seconds = Field(
        default=8.0, description="no pause is longer; a provider that asks for more is left for another"
    )
    breaker_failures: Count = Field(default=5, description="failures in a row that take a deployment out of service")
    breaker_seconds: Seconds = Field(default=30.0, description="how long it stays out before one call may try it")
    probes: Truth = Field(default=False, description="ask providers for their models now and then to know their health")
    probe_seconds: Seconds = Field(default=30.0, description="how often")
