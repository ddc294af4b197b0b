"""Resolutions and closed vocabularies that facts share."""

from typing import Final

SECONDS: Final = -7
"""Exponent of durations: 100 ns."""
USD: Final = -11
"""Exponent of money: a hundred-billionth of a dollar."""

TRUTH: Final = ("true", "false")
OUTCOMES: Final = ("completed", "failed", "cancelled")
STATUSES: Final = ("success", "error", "cancelled")
PHASES: Final = ("decode", "prepare", "provider_dispatch", "response_write", "total")
