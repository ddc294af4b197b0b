"""Settings of models that several deployments serve, and of what happens when one fails."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from tallygate.gateway.settings.kinds import (
    Count,
    Listed,
    Seconds,
    SomeCount,
    SomeSeconds,
    Text,
    Truth,
    Words,
    wrong,
)
from tallygate.gateway.settings.section import Section

_STATUS = re.compile(r"[45]([0-9]{2}|xx)\Z")


def _as_words(value: Any) -> Any:
    """Numbers may stand among the words."""
    if isinstance(value, int) and not isinstance(value, bool):
        return (str(value),)
    if isinstance(value, list | tuple):
        return tuple(str(one) if isinstance(one, int) and not isinstance(one, bool) else one for one in value)
    return value


def _are_statuses(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not _STATUS.match(value):
            raise wrong(f"{value!r} is no status of an error", "write statuses such as 429, and 5xx for all of a kind")
    return values


Statuses = Annotated[Words, BeforeValidator(_as_words), AfterValidator(_are_statuses)]
"""HTTP statuses of errors: ``429``, ``5xx``."""


class DeploymentSettings(Section):
    """A place where a model is served."""

    provider: Text = Field(description="name of a configured provider")
    model: Text | None = Field(default=None, description="the name to ask it for; unset: the model's own")
    weight: Count = Field(default=1, description="its share among the deployments of the same priority")
    priority: Count = Field(default=1, description="1 is asked first; others only when those before cannot serve")


def _not_empty(values: tuple[DeploymentSettings, ...]) -> tuple[DeploymentSettings, ...]:
    if not values:
        raise wrong("is empty", "name at least one")
    return values


class RoutedModelSettings(Section):
    """A model that several deployments serve."""

    deployments: Annotated[tuple[DeploymentSettings, ...], Listed, AfterValidator(_not_empty)] = Field(
        description="where it is served"
    )
    fallbacks: Words = Field(default=(), description="models to ask for instead when no deployment can serve it")


class FailoverSettings(Section):
    """What happens when a provider fails before the first byte of its answer went to the client."""

    attempts: Count = Field(default=3, description="how often a request is tried, over all deployments and fallbacks")
    retries: SomeCount = Field(
        default=0,
        description="how often the deployments of a model are asked again, after a pause, when all of them failed; "
        "clients mostly do so themselves",
    )
    statuses: Statuses = Field(
        default=("401", "402", "403", "408", "409", "429", "5xx"),
        description="answers after which another try is made; 401 to 403 only elsewhere, and only when the gateway's "
        "own key was refused",
    )
    backoff_seconds: SomeSeconds = Field(
        default=0.5, description="pause before the second try of a model; doubled each time, with jitter"
    )
    longest_backoff_seconds: Seconds = Field(
        default=8.0, description="no pause is longer; a provider that asks for more is left for another"
    )
    cooldown_seconds: SomeSeconds = Field(
        default=5.0, description="how long a deployment rests after a 429 that names no time; 0: not at all"
    )
    longest_cooldown_seconds: Seconds = Field(
        default=300.0, description="a deployment rests no longer, whatever its provider asks for"
    )
    breaker_failures: SomeCount = Field(
        default=5, description="failures in a row that take a deployment out of service; 0: never"
    )
    breaker_seconds: Seconds = Field(default=30.0, description="how long it stays out before one call may try it")
    headers: Truth = Field(
        default=True,
        description="tell in `x-tallygate-*` headers of the answer who served it, where there was a choice",
    )
    health_seconds: Seconds = Field(
        default=60.0, description="the time over which a provider's error rate and availability are told"
    )
    probes: Truth = Field(default=False, description="ask providers for their models now and then to know their health")
    probe_seconds: Seconds = Field(default=30.0, description="how often")
    probe_timeout_seconds: Seconds = Field(default=5.0, description="how long a provider may take to answer a probe")
