"""Targets as the command line makes them."""

from pathlib import Path

from tallygate.cli.targets import Target, target

NOWHERE = Path("/nonexistent/.env")


def looking_at(
    url: str | None,
    *,
    config: Path | None = None,
    key: str | None = None,
    key_file: Path | None = None,
    ca_file: Path | None = None,
    insecure: bool = False,
    timeout: float = 10.0,
) -> Target:
    """What the options name; nothing else is given."""
    return target(
        url,
        config=config,
        env_file=NOWHERE,
        key=key,
        key_file=key_file,
        ca_file=ca_file,
        insecure=insecure,
        timeout=timeout,
    )
