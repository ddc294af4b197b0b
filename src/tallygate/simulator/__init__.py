"""A simulated provider: OpenAI's, Anthropic's and Gemini's APIs on a socket, well-behaved or not, and counted.

It answers the same request in the same way, misbehaves when the model's name asks for it, and tells under
``GET /served`` what it really sent, so that any meter in front of it can be compared with the truth.
"""

from tallygate.simulator.behaviours import BEHAVIOURS
from tallygate.simulator.served import Kind, Sent, Served
from tallygate.simulator.server import Simulator, new_event_loop, run_in_thread, serve
from tallygate.simulator.settings import Seconds, Settings

__all__ = [
    "BEHAVIOURS",
    "Kind",
    "Seconds",
    "Sent",
    "Served",
    "Settings",
    "Simulator",
    "new_event_loop",
    "run_in_thread",
    "serve",
]
