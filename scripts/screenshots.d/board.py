"""A board as Grafana's own components draw it (@grafana/ui and @grafana/data from npm), with what Prometheus answers.

Grafana itself is no package of Debian or npm. Its panels' components are: units, thresholds, overrides, legends and
transformations are theirs; the frame around them, variables and the data source's part are dashboard/board.jsx.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, Route
from tests.prometheus.server import Prometheus

from tallygate.dashboards import dashboards, encode

SOURCES = Path(__file__).parent / "dashboard"
BUILT = Path(sys.prefix) / "share" / "tallygate-board"
"""Where npm puts what is needed for the picture: beside the Python that makes it, out of the tree."""
BOARD = "tallygate-cost-reliability"
SECONDS, STEP = 900, 15
ROWS = 29
"""Of the board's grid: its first section."""
WIDTH, HEIGHT = 1440, 56 + ROWS * 38
ORIGIN = "http://board.test/"
VARIABLE = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))")

Json = dict[str, Any]


async def drawn(browser: Browser, prometheus: Prometheus) -> Page:
    """A page that shows the board's first section over the last minutes."""
    await build()
    given = await answered(prometheus)
    visitor = await browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, timezone_id="UTC")
    page = await visitor.new_page()
    page.on("pageerror", lambda error: print(f"the board's page: {error}", file=sys.stderr))
    await page.route("**/*", serve)
    await page.add_init_script(f"window.given = {json.dumps(given)}")
    await page.goto(ORIGIN)
    await page.locator("canvas").last.wait_for()
    # The last frame of its charts.
    await page.wait_for_timeout(1500)
    return page


async def build() -> None:
    """Install the components and bundle them; quick when they are there."""
    BUILT.mkdir(parents=True, exist_ok=True)
    for source in SOURCES.iterdir():
        shutil.copy(source, BUILT)
    for command in (
        ("install", "--ignore-scripts", "--no-fund", "--no-audit", "--silent"),
        ("run", "--silent", "build"),
    ):
        process = await asyncio.create_subprocess_exec("npm", *command, cwd=BUILT)
        if await process.wait():
            raise RuntimeError(f"npm {command[0]} failed in {BUILT}")


async def serve(route: Route) -> None:
    """The page's files, and Grafana's icons; nothing else is there."""
    path = route.request.url.removeprefix(ORIGIN) or "index.html"
    icons = BUILT / "node_modules" / "@grafana" / "ui" / "dist"
    for file in (BUILT / path, icons / path):
        if file.is_file():
            await route.fulfill(path=file)
            return
    await route.fulfill(status=404)


async def answered(prometheus: Prometheus) -> Json:
    """The board and the answers to its queries."""
    (board,) = [json.loads(encode(one)) for one in dashboards("tallygate") if one.uid == BOARD]
    now = int(time.time())
    values = chosen(board) | {
        "__rate_interval": "1m",
        "__interval": f"{STEP}s",
        "__range": f"{SECONDS}s",
        "__from": f"{(now - SECONDS) * 1000}",
        "__to": f"{now * 1000}",
    }
    board["panels"] = [one for one in board["panels"] if one["gridPos"]["y"] + one["gridPos"]["h"] <= ROWS]
    answers = {}
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            target["key"] = f"{panel['id']} {target['refId']}"
            query = VARIABLE.sub(lambda match: values.get(match[1] or match[2], match[0]), target["expr"])
            answers[target["key"]] = await asked(prometheus, query, now, instant=bool(target.get("instant")))
    return {"board": board, "from": now - SECONDS, "to": now, "values": values, "answers": answers, "height": HEIGHT}


def chosen(board: Json) -> dict[str, str]:
    """The values of the board's variables as it opens."""
    found = {}
    for variable in board["templating"]["list"]:
        if variable["type"] != "datasource":
            value = variable["current"]["value"]
            found[variable["name"]] = variable.get("allValue") or ".*" if value == "$__all" else value
    return found


async def asked(prometheus: Prometheus, query: str, now: int, *, instant: bool) -> list[Json]:
    """The series of an answer, each with its labels and points."""
    if instant:
        found = (await prometheus.api("query", query=query, time=str(now)))["result"]
        return [{"metric": one["metric"], "values": [one["value"]]} for one in found]
    start, end = (now - SECONDS) // STEP * STEP, now // STEP * STEP
    data = await prometheus.api("query_range", query=query, start=str(start), end=str(end), step=str(STEP))
    result: list[Json] = data["result"]
    return result
