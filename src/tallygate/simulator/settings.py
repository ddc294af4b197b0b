"""How a simulated provider is set up."""

from dataclasses import dataclass

Seconds = float | tuple[float, float]
"""A fixed time, or the 5th and 95th percentile of a log-normal one, both in seconds."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be told to the simulator; the defaults answer at once."""

    host: str = "127.0.0.1"
    port: int = 0
    """0 takes a free port."""
    seed: int = 0
    """Same seed and same request: same answer, same times."""
    latency: Seconds = 0.0
    """Before the head of every reply."""
    time_to_first_token: Seconds = 0.0
    """Streams: between the head and the first content delta. Otherwise added to the latency."""
    time_per_token: Seconds = 0.0
    """Streams: between two content deltas. Otherwise, times the output tokens, added to the latency."""
    output_tokens: int = 16
    """Length of an answer whose request sets no limit."""
    longest_answer: int = 1024
    """An answer is as long as the request's token limit, but never longer than this."""

    def __post_init__(self) -> None:
        """Raises ValueError that names the field."""
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port: {self.port} is not between 0 and 65535")
        for name in ("latency", "time_to_first_token", "time_per_token"):
            value: Seconds = getattr(self, name)
            if isinstance(value, tuple):
                if not 0 < value[0] <= value[1]:
                    raise ValueError(f"{name}: {value} must be two percentiles, 0 < 5th <= 95th")
            elif not 0 <= value < float("inf"):
                raise ValueError(f"{name}: {value} is no time in seconds")
        for name in ("output_tokens", "longest_answer"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} must be at least 1")

    @classmethod
    def realistic(cls, host: str = "127.0.0.1", port: int = 0, seed: int = 0) -> "Settings":
        """As quick and as uneven as a provider on an ordinary day, for demonstrations."""
        return cls(
            host, port, seed, latency=(0.02, 0.08), time_to_first_token=(0.12, 0.7), time_per_token=(0.004, 0.02)
        )

    @property
    def instant(self) -> bool:
        """Whether replies leave without any wait."""
        return self.latency == 0 and self.time_to_first_token == 0 and self.time_per_token == 0
