"""Families grow while pages are made of them."""

import threading
from types import ModuleType

from prometheus_client.parser import text_string_to_metric_families

from tallygate.exposition import render_native
from tests.exposition.cells import cells

SERIES = 3_000


def test_pages_while_another_thread_adds(renderer: ModuleType) -> None:
    """Every page is whole: what it shows of a series that was there before never goes down."""
    counter = renderer.Family("a_total", "counter", "", "")
    spread = renderer.Family("b_seconds", "histogram", "", "", le=["1"], bucket_map=[0, 1])
    shown = renderer.Family("c", "gauge", "", "")
    buffer = cells(1, 2, 3)

    def grow() -> None:
        for number in range(SERIES):
            labels = f'n="{number}"'
            counter.add(counter.series(labels), 0, 0)
            counter.add(counter.series('n="0"'), 0, 1)
            spread.add(spread.series(labels), 0, 0)
            shown.constant(shown.series('n="0"'), str(number))

    thread = threading.Thread(target=grow)
    thread.start()
    last = (0, -1, -1.0)
    while True:
        is_last = not thread.is_alive()
        page = renderer.render([counter, spread, shown], [buffer], "text", {}).decode()
        families = {family.name: family.samples for family in text_string_to_metric_families(page)}
        series = len(families["a"])
        assert [sample.labels["n"] for sample in families["a"]] == [str(number) for number in range(series)]
        assert all(sample.value in (0, 1) for sample in families["a"][1:-1])
        for sample in families["b_seconds"]:
            assert sample.value in (0, {"sum": 1, "count": 5}.get(sample.name.rpartition("_")[2], sample.value))
        first = int(families["a"][0].value) if series else 0
        now = (series, first, families["c"][0].value if families["c"] else -1.0)
        assert all(after >= before for before, after in zip(last, now, strict=True))
        last = now
        if is_last:
            break
    thread.join()
    assert last == (SERIES, 2 * SERIES + 1, SERIES - 1)


def test_pages_of_the_same_families_in_several_threads() -> None:
    family = render_native.Family("a_total", "counter", "", "")
    for number in range(SERIES):
        family.add(family.series(f'n="{number}"'), 0, 0)
    expected = render_native.render([family], [cells(7)], "text", {})
    pages: list[bytes] = []

    def make() -> None:
        pages.extend(render_native.render([family], [cells(7)], "text", {}) for _ in range(20))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pages) == 80
    assert set(pages) == {expected}
