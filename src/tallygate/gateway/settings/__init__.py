"""What the gateway is told: settings from flags, environment, ``.env`` and file, validated whole."""

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

__all__ = [
    "DimensionSettings",
    "LimitSettings",
    "ListenerSettings",
    "LogSettings",
    "MetricsSettings",
    "ModelSettings",
    "PriceSettings",
    "ProviderSettings",
    "ServerSettings",
    "Settings",
]
