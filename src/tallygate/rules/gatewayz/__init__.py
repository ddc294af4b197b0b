"""Gatewayz' alerts: its document gives thresholds only; these are expressions for all that its families can tell.

Its thresholds are kept, but for one: its HTTP histogram ends at 5 s, so that a P95 above 10 s could never be seen, and
5 s it is. A P95 above 60 s, the top bucket of the models' histogram, is asked for as what it is: more than 5 % of calls
beyond it.
"""

from __future__ import annotations

from tallygate.rules.gatewayz import objectives, resources, service
from tallygate.rules.given import Given
from tallygate.rules.model import Group


def groups(given: Given) -> tuple[Group, ...]:
    """One for each heading of its document."""
    return (*service.groups(given), *resources.groups(given), *objectives.groups(given))
