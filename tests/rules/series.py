"""Input series for promtool, of families and labels that exist."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from tallygate.dialects import DIALECTS
from tallygate.dialects.families import Family, Histogram
from tallygate.promql import SCRAPED, label_names

Series = Mapping[str, str]
"""Values as promtool has them, by series: ``0+5x30`` begins with 0 and grows by 5 a minute, 30 times."""

JOB, INSTANCE = "tallygate", "gateway:4000"
MINUTES = 40
"""How long series go on unless they say otherwise."""


@dataclass(frozen=True)
class Dialect:
    """Writes series of one dialect. Fails for a family or a label that it does not have."""

    name: str

    def __call__(self, family: str, values: str | float, /, **labels: str) -> Series:
        """One series with these values; a number is how much it grows a minute."""
        self._check(self._family(family), labels)
        return {selector(family, labels): grows(values)}

    def histogram(
        self, family: str, observed: Mapping[float, float], minutes: int = MINUTES, /, **labels: str
    ) -> Series:
        """All series of a histogram that sees these values so many times a minute."""
        declared = self._family(family)
        assert isinstance(declared, Histogram)
        self._check(declared, labels)
        found = {}
        for bound in (*map(float, declared.bounds), float("inf")):
            upper = "+Inf" if bound == float("inf") else str(bound)
            count = sum(each for value, each in observed.items() if value <= bound)
            found[selector(f"{family}_bucket", {**labels, "le": upper})] = grows(count, minutes)
        found[selector(f"{family}_count", labels)] = grows(sum(observed.values()), minutes)
        found[selector(f"{family}_sum", labels)] = grows(sum(value * each for value, each in observed.items()), minutes)
        return found

    def _family(self, name: str) -> Family:
        (found,) = (family for family in DIALECTS[self.name] if family.name == name)
        return found

    def _check(self, family: Family, labels: Mapping[str, str]) -> None:
        unknown = set(labels) - {*label_names(family), *SCRAPED}
        assert not unknown, f"{family.name} has no label {unknown}"


def selector(name: str, labels: Mapping[str, str]) -> str:
    """The series as PromQL has it, scraped from somewhere."""
    told = {"job": JOB, "instance": INSTANCE, **labels}
    return f"{name}{{{', '.join(f'{label}={json.dumps(value)}' for label, value in told.items())}}}"


def grows(values: str | float, minutes: int = MINUTES) -> str:
    """Promtool's notation of a counter that grows so much a minute; a text is taken as it is."""
    return values if isinstance(values, str) else f"0+{values:g}x{minutes}"


def together(*parts: Series) -> Series:
    """All of these; none of them twice."""
    names = [name for part in parts for name in part]
    assert len(names) == len(set(names)), names
    return {name: values for part in parts for name, values in part.items()}
