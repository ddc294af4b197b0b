"""How a worker itself is doing: its process, its event loops, its garbage collector.

Their numbers are facts like all others, so that they add up over worker processes: the collectors of
prometheus_client know one process only, and show nothing at all in its multiprocess mode.
"""

from tallygate.runtime.collector import COLLECTOR
from tallygate.runtime.loop import LoopSampler
from tallygate.runtime.process import ProcessSampler
from tallygate.runtime.sampler import RuntimeSampler
from tallygate.runtime.thread import ProcessThread

__all__ = ["COLLECTOR", "LoopSampler", "ProcessSampler", "ProcessThread", "RuntimeSampler"]
