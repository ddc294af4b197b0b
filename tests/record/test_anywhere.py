"""Recording where a program hardly is one: signal handlers, forks, other threads, before the start, at the very end."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

PRELUDE = """
import atexit, gc, os, signal, sys, threading
import tallygate
from tallygate.facts import LLMCall, Query, Task, TaskInFlight
from tests.record.reading import dropped, gauge, rows_of

def queries(tally):
    rows = rows_of(tally, Query)
    return sorted((row.dimensions["query"], row.dimensions["status"]) for row in rows for _ in range(row.count))
"""


def run(program: str, implementation: str) -> str:
    """What a program of its own says; it must end well and without a word on standard error."""
    code = PRELUDE + f"init = lambda: tallygate.init(implementation={implementation!r})\n" + textwrap.dedent(program)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


IMPLEMENTATION = pytest.mark.parametrize("implementation", ["native", "python"])


@IMPLEMENTATION
def test_before_init(implementation: str) -> None:
    program = """
        early, lost = tallygate.track_query("early"), tallygate.track_query("lost").start()
        tallygate.record_rate_limited("any")
        tally = init()
        with early:
            pass
        print(lost.finish(), queries(tally))
        """
    assert run(program, implementation) == "False [('early', 'success')]"


@IMPLEMENTATION
def test_in_a_signal_handler(implementation: str) -> None:
    program = """
        tally = init()

        def handler(number, frame):
            tallygate.track_query("handler").finish()

        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        ours = 0
        while ours < 20_000 or len(rows_of(tally, Query)) < 2:
            tallygate.track_query("program").finish()
            ours += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        counts = {row.dimensions["query"]: row.count for row in rows_of(tally, Query)}
        print(counts["program"] == ours, counts["handler"] > 0, dropped(tally))
        """
    assert run(program, implementation) == "True True {}"


@IMPLEMENTATION
def test_in_threads(implementation: str) -> None:
    program = """
        tally = init()

        def work():
            for _ in range(1000):
                with tallygate.track_task("sync"):
                    tallygate.track_query("find").finish()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(rows_of(tally, Query)[0].count, gauge(tally, TaskInFlight))
        """
    assert run(program, implementation) == "4000 0"


@IMPLEMENTATION
def test_in_a_forked_child(implementation: str) -> None:
    """What a child records counts (in the compiled ledger, which the two share); what it inherits is its parent's."""
    program = """
        tally = init()
        inherited = tallygate.track_task("inherited").start()
        call = tallygate.track_llm_call("openai", "gpt-4o").start()
        with tallygate.track_query("inherited"):
            child = os.fork()
        if child == 0:
            inherited.finish()
            call.finish()
            tallygate.track_query("child").finish()
            print(queries(tally), gauge(tally, TaskInFlight) <= 1, flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        inherited.finish()
        call.finish()
        counts = [sum(row.count for row in rows_of(tally, fact)) for fact in (Task, LLMCall)]
        print(queries(tally), gauge(tally, TaskInFlight), counts)
        """
    shown = run(program, implementation).splitlines()
    shared = "[('child', 'success'), ('inherited', 'success')] 0 [1, 1]"
    alone = "[('inherited', 'success')] 0 [1, 1]"
    assert shown[1] == (shared if implementation == "native" else alone)


@IMPLEMENTATION
def test_at_the_very_end(implementation: str) -> None:
    """From an exit handler it counts; from a finaliser after that, whatever is left, nothing breaks."""
    program = """
        class Late:
            def __del__(self):
                tallygate.track_query("finaliser").finish()
                with tallygate.track_llm_call("openai", "gpt-4o") as call:
                    call.usage(1, 1)
                tallygate.record_rate_limited("any")

        tally = init()
        atexit.register(lambda: print(queries(tally)))
        atexit.register(lambda: tallygate.track_query("exit").finish())
        late = Late()
        loop = [late]
        loop.append(loop)
        sys.late = late
        going_on = tallygate.track_query("going on").start()
        sys.going_on = tallygate.track_query("going on").start()
        sys.call = tallygate.track_llm_call("openai", "gpt-4o").start()
        """
    assert run(program, implementation) == "[('exit', 'success')]"


@IMPLEMENTATION
def test_in_finalisers_that_the_collector_calls(implementation: str) -> None:
    program = """
        tally = init()

        class Knot:
            def __init__(self):
                self.self = self

            def __del__(self):
                tallygate.track_query("collected").finish()

        for _ in range(10):
            Knot()
        gc.collect()
        print(len(queries(tally)))
        """
    assert run(program, implementation) == "10"
