"""Letting a request in: rate limits, concurrency, credits and budgets, held before it is asked and freed after it."""

from tallygate.gateway.admission.interface import Admission, Gate

__all__ = ["Admission", "Gate"]
