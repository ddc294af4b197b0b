"""``python -m tallygate.simulator [PORT]``: the simulated provider alone, on port 4010 unless told."""

import asyncio
import sys

from tallygate.simulator.server import Simulator, new_event_loop, serve
from tallygate.simulator.settings import Settings


def announce(simulator: Simulator) -> None:
    """Tell where it listens."""
    print(simulator.url, flush=True)


def main() -> None:
    """Serve until interrupted."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 4010
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        try:
            runner.run(serve(Settings(port=port), announce))
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
