"""``python -m benchmarks.gateway``: all sections, or those that are named.

One worker of each server is pinned to core 0; all else shares core 1 (in the section scaling, servers may use both).
CPU per request is read from /proc, so it does not depend on which side saturates. ``--quick`` shortens every run;
``--no-litellm`` leaves the peer out (its installation takes a minute).
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.gateway import full, plain, scaling, services
from benchmarks.gateway.load import write_script
from benchmarks.gateway.servers import litellm, simulator, tallygate

SECTIONS = ("plain", "full", "scaling")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.gateway", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}; unset: all")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--no-litellm", action="store_true")
    parser.add_argument("--realtime", action="store_true", help="go before all else that the machine does (as root)")
    options = parser.parse_args(arguments)
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"no section is called {', '.join(unknown)}")
    if shutil.which("wrk") is None:
        raise SystemExit("the load generator is missing: apt-get install wrk")
    if options.realtime:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(services.REALTIME + 1))  # servers and load inherit it
    seconds = 3 if options.quick else 8
    sections = options.sections or SECTIONS
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        scratch = Path(folder)
        provider = stack.enter_context(simulator(scratch))
        peers = (
            []
            if options.no_litellm or sections == ["scaling"]
            else [stack.enter_context(litellm(scratch, provider.url))]
        )
        if "plain" in sections:
            script = write_script(scratch / "load.lua")
            ours = stack.enter_context(tallygate(scratch, provider.url))
            silent = stack.enter_context(
                tallygate(scratch, provider.url, "tallygate, metrics off", sections={"metrics": {"enabled": False}})
            )
            servers = [provider, ours, silent, *peers]
            plain.throughput(servers, script, seconds)
            plain.metrics_cost(scratch, provider, script, seconds)
            plain.streams(servers, seconds)
            plain.memory(servers)
        if "full" in sections:
            full.compare(scratch, provider, peers, seconds)
        if "scaling" in sections:
            scaling.compare(scratch, provider, seconds)


if __name__ == "__main__":
    main()
