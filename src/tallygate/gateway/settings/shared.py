"""Settings of what workers and machines share: limits, credits, cached answers."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from tallygate.gateway.settings.addresses import SharedURL
from tallygate.gateway.settings.kinds import Seconds
from tallygate.gateway.settings.section import Section


class SharedSettings(Section):
    """Where workers and machines meet."""

    state_directory: Path = Field(
        default=Path("tallygate-state"),
        description="directory of this machine's workers for limits, holds and calls not yet in the database",
    )
    url: SharedURL | None = Field(
        default=None,
        description="Redis or Valkey that several machines share, as in `redis://HOST:6379/0`; `rediss://` with TLS, "
        "`unix:///run/redis.sock` for a socket file; unset: one machine",
    )
    timeout_seconds: Seconds = Field(default=0.25, description="how long a request waits for it")
    when_away: Literal["open", "closed"] = Field(
        default="open",
        description="when it cannot be reached: let calls pass without limits (`open`) or refuse them (`closed`)",
    )
