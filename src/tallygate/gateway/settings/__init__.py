"""What the gateway is told: settings from flags, environment, ``.env`` and file, validated whole."""

from tallygate.gateway.settings.loading import load
from tallygate.gateway.settings.masking import masked, secrets
from tallygate.gateway.settings.models import (
    DimensionSettings,
    LimitSettings,
    ListenerSettings,
    LogSettings,
    MetricsSettings,
    ModelSettings,
    PriceSettings,
    ProviderSettings,
    ServerSettings,
    Settings,
)
from tallygate.gateway.settings.problems import ConfigurationError, NoProvider, Problem

__all__ = [
    "ConfigurationError",
    "DimensionSettings",
    "LimitSettings",
    "ListenerSettings",
    "LogSettings",
    "MetricsSettings",
    "ModelSettings",
    "NoProvider",
    "PriceSettings",
    "Problem",
    "ProviderSettings",
    "ServerSettings",
    "Settings",
    "load",
    "masked",
    "secrets",
]
