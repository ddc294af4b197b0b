"""Every query of every panel of every board has an answer in a real Prometheus that scraped a real load."""

from __future__ import annotations

import math
import re
from collections import defaultdict

import pytest

from tests.dashboards.asking import BUILT_IN, VARIABLE, Asked, Document, documents
from tests.dashboards.conftest import SHARED, World
from tests.dashboards.program import CHOSEN

pytestmark = SHARED

OFFERED = re.compile(r"label_(?:values\((.*), (\w+)|names\((.*))\)\Z", re.DOTALL)
PANELS: defaultdict[str, list[Asked]] = defaultdict(list)
"""The queries of each panel: with All in the variables, and with one value in each."""
for document in documents():
    for concrete in (False, True):
        for asked in document.asked(concrete):
            PANELS[str(asked)].append(asked)


NEVER = {"no room", "no number"}
"""Legends of what does not happen under this load."""


@pytest.mark.parametrize("panel", PANELS)
async def test_every_query_of_a_panel_has_an_answer(world: World, panel: str) -> None:
    for asked in PANELS[panel]:
        answer = world.answers[asked]
        assert answer, f"No data: {asked.promql}"
        assert any(map(math.isfinite, answer.values())), f"nothing but NaN and Inf: {asked.promql}"
        for label in asked.labels:
            assert any(dict(series).get(label) for series in answer), f"no {label!r} for the legend: {asked.promql}"
    for legend in {asked.legend for asked in PANELS[panel]} - NEVER:
        values = [value for asked in PANELS[panel] if asked.legend == legend for value in world.answers[asked].values()]
        assert any(values), f"never anything but 0: {legend}"


@pytest.mark.parametrize("document", documents(), ids=lambda document: document.name)
async def test_variables_offer_what_there_is(world: World, document: Document) -> None:
    chosen = BUILT_IN | document.chosen(concrete=True)
    for name, query in document.variables():
        found = OFFERED.match(query)
        assert found, query
        selector = VARIABLE.sub(lambda match: chosen[match[1] or match[2]], found[1] or found[3])
        values = await world.prometheus.api(
            f"label/{found[2]}/values" if found[2] else "labels", **{"match[]": selector}
        )
        wanted = document.dialect if name == "job" else CHOSEN[name]
        assert any(re.fullmatch(wanted, value) for value in values), f"{query}: {values}"
