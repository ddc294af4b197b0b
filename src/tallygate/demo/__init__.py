"""``tallygate demo``: a simulated provider, the gateway in front of it, traffic, and what the metrics say of it."""

from tallygate.demo.running import run

__all__ = ["run"]
