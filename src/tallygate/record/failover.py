"""What happens when a provider fails."""

from __future__ import annotations

from typing import Final

from tallygate.facts import CoolDown, DeploymentBreaker, ModelFallback, UpstreamRetry
from tallygate.record.recording import Recording

STATES: Final = DeploymentBreaker.state.values


class FailoverRecording(Recording):
    """Writing facts of failover. The words are those of ``facts.failover``."""

    def upstream_retry(self, *, provider: str, model: str, reason: str, step: str, pause: float = 0.0) -> None:
        """An attempt at this provider and model failed, and another one is made after a pause (seconds)."""
        self.count(UpstreamRetry, (provider, model, reason, step), pause)

    def model_fallback(self, from_model: str, to_model: str) -> None:
        """Another model is asked instead."""
        self.count(ModelFallback, (from_model, to_model))

    def cool_down(self, *, provider: str, model: str, seconds: float) -> None:
        """A deployment is spared for so long."""
        self.count(CoolDown, (provider, model), seconds)

    def breaker_changed(self, provider: str, model: str, state: str) -> None:
        """The breaker of a deployment has come into this state: closed, open or half_open."""
        self.count(DeploymentBreaker, (provider, model, state))
        self._set_breaker(provider, model, state)

    def seed_deployment(self, provider: str, model: str) -> None:
        """A configured deployment, before its first call: in service, and never failed."""
        if not self.enabled:
            return
        try:
            self.row(UpstreamRetry, provider, model, "provider_server_error", "elsewhere")
            self.row(CoolDown, provider, model)
            for state in STATES:
                self.row(DeploymentBreaker, provider, model, state)
        except Exception as problem:
            self.failed(DeploymentBreaker, problem)
        self._set_breaker(provider, model, "closed")

    def seed_fallback(self, from_model: str, to_model: str) -> None:
        """A configured fallback, before it is first needed."""
        if not self.enabled:
            return
        try:
            self.row(ModelFallback, from_model, to_model)
        except Exception as problem:
            self.failed(ModelFallback, problem)

    def _set_breaker(self, provider: str, model: str, state: str) -> None:
        for candidate in STATES:
            holds = int(candidate == state)
            self._set(DeploymentBreaker, (provider, model, candidate), {DeploymentBreaker.holds: holds})
