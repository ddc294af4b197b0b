"""When the parts of a reply leave: fixed times, or times drawn from the seed and the request."""

import math
import random

from tallygate.simulator.answer import Answer
from tallygate.simulator.settings import Seconds, Settings

_NINETY_PERCENT = 1.6448536269514722
"""Standard deviations from the median to the 95th percentile of a normal distribution."""


class Pace:
    """The waits of one reply, in seconds. Equal requests draw anew by how many came before."""

    def __init__(self, settings: Settings, answer: Answer, before: int) -> None:
        self._settings = settings
        self._answer = answer
        self._random = random.Random(f"{settings.seed}/{answer.digest}/{before}")
        self._first = True

    def head(self) -> float:
        """Before the head."""
        settings, marks = self._settings, self._answer.marks
        wait = self._draw(settings.latency)
        if "slow_headers" in marks:
            wait += marks.number("slow_headers", 5)
        if not self._answer.ask.stream:
            wait += self._draw(settings.time_to_first_token)
            wait += self._draw(settings.time_per_token) * self._answer.usage.output_tokens
        return wait

    def content(self) -> float:
        """Before the next content delta."""
        wait = self._draw(self._settings.time_to_first_token if self._first else self._settings.time_per_token)
        self._first = False
        if "slow_stream" in self._answer.marks:
            wait += self._answer.marks.number("slow_stream", 0.5)
        return wait

    def _draw(self, seconds: Seconds) -> float:
        if not isinstance(seconds, tuple):
            return seconds
        low, high = math.log(seconds[0]), math.log(seconds[1])
        return self._random.lognormvariate((low + high) / 2, (high - low) / 2 / _NINETY_PERCENT)
