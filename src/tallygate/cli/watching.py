"""`tallygate top` in a terminal: asks for a page every so often and shows what happened since."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar, TypeVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import Footer, Static

from tallygate.cli.screen import SORTS, Shown, screen
from tallygate.scraping.figures import Figures, Scraped, figures
from tallygate.scraping.scrape import ScrapeError

INTERVALS = (1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0)
"""Seconds between two pages, as + and - choose them."""
HELP = """\
q  quit              p  pause, and go on
s  sort by the next column (marked \N{DOWNWARDS ARROW})
+  ask less often    -  ask more often
r  ask now           ?  this help

Rates and percentiles are of the time between the last two
pages; totals are since the gateway's counters began.
A dash: the dialect does not tell it, or nothing happened.
>60 s: above the last bound of the histogram.
first token and tok/s are those of streams and of whole calls.
State of a provider: up, down, or breaker (one is open).

Any key closes this."""

T = TypeVar("T")


class Help(ModalScreen[None]):
    """The keys, and what the figures mean."""

    DEFAULT_CSS = """
    Help { align: center middle; }
    Help > Static { width: auto; height: auto; border: round $foreground; padding: 0 1; background: $background; }
    """

    def compose(self) -> ComposeResult:
        yield Static(HELP, markup=False)

    def on_key(self) -> None:
        self.dismiss()


class Top(App[None]):
    """The screen, its keys, and the asking."""

    ENABLE_COMMAND_PALETTE = False
    CSS = "#figures { height: 1fr; width: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,ctrl+c", "quit", "quit", key_display="q"),
        Binding("p", "pause", "pause"),
        Binding("s", "sort", "sort"),
        Binding("plus,equals_sign", "slower", "slower", key_display="+"),
        Binding("minus", "faster", "faster", key_display="-"),
        Binding("r", "now", "now"),
        Binding("question_mark", "help", "help", key_display="?"),
    ]

    def __init__(self, scrape: Callable[[], Scraped], address: str, interval: float) -> None:
        """scrape: had in a thread of its own; raises ScrapeError."""
        super().__init__(ansi_color=True)  # the terminal's own colours, dark or light
        self._scrape = scrape
        self.shown = Shown(address, interval)
        self.asked = asyncio.Condition()
        """Notified when an answer, or none, was shown."""
        self.answers = 0
        self._last: Scraped | None = None
        self._wake = asyncio.Event()

    def compose(self) -> ComposeResult:
        self._area = Static(id="figures", markup=False)  # kept: a page may come while the screen is taken down
        yield self._area
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.run_worker(self._ask())
        self.set_interval(1, self._tick)
        self._show()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    async def _ask(self) -> None:
        while True:
            if not self.shown.paused:
                try:
                    self._take(*await _in_thread(self._look))
                except ScrapeError as problem:
                    self.shown = replace(self.shown, problem=str(problem), silent=self._silence())
                self._show()
                self.answers += 1
                async with self.asked:
                    self.asked.notify_all()
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self.shown.interval)

    def _look(self) -> tuple[Scraped, Figures]:
        page = self._scrape()
        return page, figures(self._last, page)

    def _take(self, page: Scraped, now: Figures) -> None:
        note = self.shown.note
        if now.restarted:
            note = f"restarted before {time.strftime('%H:%M:%S', time.localtime(page.time))}"
        self.shown = replace(self.shown, figures=now, problem="", silent=0.0, note=note)
        self._last = page

    def _silence(self) -> float:
        return 0.0 if self._last is None else time.monotonic() - self._last.moment

    def _tick(self) -> None:
        """The time without an answer goes on by itself."""
        if self.shown.problem and not self.shown.paused:
            self.shown = replace(self.shown, silent=self._silence())
            self._show()

    def _show(self) -> None:
        area = self._area
        width, height = area.size.width or self.size.width, area.size.height or self.size.height - 1
        area.update(screen(self.shown, max(20, width), max(1, height)))

    def action_pause(self) -> None:
        """Stop asking, or go on."""
        self._change(paused=not self.shown.paused)
        if not self.shown.paused:
            self._wake.set()

    def action_sort(self) -> None:
        self._change(sort=SORTS[(SORTS.index(self.shown.sort) + 1) % len(SORTS)])

    def action_slower(self) -> None:
        longer = [each for each in INTERVALS if each > self.shown.interval]
        self._change(interval=longer[0] if longer else self.shown.interval)

    def action_faster(self) -> None:
        shorter = [each for each in INTERVALS if each < self.shown.interval]
        self._change(interval=shorter[-1] if shorter else self.shown.interval)
        self._wake.set()

    def action_now(self) -> None:
        self._wake.set()

    def action_help(self) -> None:
        self.push_screen(Help())

    def _change(self, **what: object) -> None:
        self.shown = replace(self.shown, **what)  # type: ignore[arg-type]  # fields of Shown
        self._show()


async def _in_thread(work: Callable[[], T]) -> T:
    """In a thread that does not keep the program from ending, unlike those of asyncio's executor."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            result = work()
        except Exception as problem:  # all of it is the waiter's
            _tell(done.set_exception, problem)
        else:
            _tell(done.set_result, result)

    def _tell(settle: Callable[[T], None] | Callable[[BaseException], None], what: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            loop.call_soon_threadsafe(lambda: None if done.done() else settle(what))  # type: ignore[arg-type]

    threading.Thread(target=run, daemon=True).start()
    return await done
