"""What must hold of rates: who is limited exists."""

from __future__ import annotations

from collections.abc import Iterator

from tallygate.gateway.settings.models import Settings
from tallygate.gateway.settings.problems import Problem, suggestion
from tallygate.gateway.settings.rates import AllowanceSettings
from tallygate.gateway.settings.routed import listed
from tallygate.gateway.settings.tree import Tree

LONGEST_NAME = 256
"""Bytes; the store's keys are not much longer."""


def rates(settings: Settings, tree: Tree) -> Iterator[Problem]:
    """What is wrong with them."""
    nothing, limits = AllowanceSettings(), settings.rates
    for owner, allowance in (("key", limits.key), ("user", limits.user)):
        if allowance != nothing and not settings.accounts.enabled:
            problem = f"there are no {owner}s to limit"
            yield tree.problem(("rates", owner), problem, "set accounts.enabled, or limit models", value=False)
    for name in limits.providers:
        if name not in settings.providers:
            mend = suggestion(name, list(settings.providers))
            yield tree.problem(("rates", "providers", name), "no provider has this name", mend, value=False)
    served = [listed(provider) for provider in settings.providers.values()]
    known = {*settings.models, *settings.aliases, *(called for names in served for called in names)}
    for name in limits.models:
        at = ("rates", "models", name)
        if len(name.encode()) > LONGEST_NAME:
            yield tree.problem(at, f"the name is longer than {LONGEST_NAME} bytes", "no model has it", value=False)
        # A provider that lists no models takes any name.
        elif name not in known and all(served):
            yield tree.problem(at, "no provider serves this model", suggestion(name, sorted(known)), value=False)
