"""Which page a command looks at, and how it shows that it may."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tallygate.cli.commands import MISTAKEN, complain
from tallygate.scraping.address import Address, AddressError, address
from tallygate.scraping.fetching import Client

if TYPE_CHECKING:
    from tallygate.gateway.settings import Settings

ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
"""Addresses that a gateway listens on, and those at which it is found."""


@dataclass(frozen=True)
class Target:
    """A page to look at."""

    address: Address
    client: Client
    others: tuple[str, ...] = ()
    """Paths at which the metrics may be instead."""

    def hidden(self, text: str) -> str:
        """A text without the key, wherever it came from."""
        return text.replace(self.client.key, "********") if self.client.key else text


def target(
    url: str | None,
    *,
    config: Path | None,
    env_file: Path,
    key: str | None,
    key_file: Path | None,
    ca_file: Path | None,
    insecure: bool,
    timeout: float,
) -> Target:
    """What the command line names, or the local gateway as configured; ends with status 2 where it is wrong.

    Keys of the configuration are shown to the configured gateway only; of another one it may know the path.
    """
    key = _key(key, key_file)
    tls = _tls(ca_file, insecure)
    if url is None:
        where, configured = _local(config, env_file)
        return Target(where, Client(_checked(key or configured), tls, timeout))
    try:
        where = address(url)
    except AddressError as problem:
        complain(str(problem), MISTAKEN)
    others = () if config is None else (_settings(config, env_file).metrics.endpoint,)
    return Target(where, Client(_checked(key), tls, timeout), others)


def _settings(config: Path | None, env_file: Path) -> Settings:
    from tallygate.cli.settings import settings_from

    return settings_from({}, config, env_file, serves=False)


def _local(config: Path | None, env_file: Path) -> tuple[Address, str | None]:
    settings = _settings(config, env_file)
    metrics, server = settings.metrics, settings.server
    if not metrics.enabled:
        complain("metrics.enabled is false: the local gateway has no metrics; give the URL of another", MISTAKEN)
    listener = metrics.listener or server
    if listener.port == 0:
        complain("the local gateway takes any free port; give the URL that its log tells", MISTAKEN)
    host = ANYWHERE.get(listener.host, listener.host)
    place = f"[{host}]" if ":" in host else host
    scheme = "http" if listener.tls is None else "https"
    secret = metrics.secret or server.master_key
    found = address(f"{scheme}://{place}:{listener.port}{metrics.endpoint}")
    return found, None if secret is None else secret.get_secret_value()


def _key(key: str | None, file: Path | None) -> str | None:
    """The file goes before the option, which may be the environment's."""
    if file is None:
        return key or None
    try:
        return file.read_text(encoding="utf-8").strip() or complain(f"--key-file: {file} is empty", MISTAKEN)
    except (OSError, UnicodeDecodeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "it is not UTF-8"
        complain(f"--key-file: {file} cannot be read: {reason}", MISTAKEN)


def _checked(key: str | None) -> str | None:
    if key is not None and not (key.isascii() and key.isprintable()):
        complain("the key cannot be in a header: it has characters that are not printable ASCII", MISTAKEN)
    return key


def _tls(ca_file: Path | None, insecure: bool) -> ssl.SSLContext | None:
    if ca_file is not None and insecure:
        complain("--ca-file and --insecure: give one of them", MISTAKEN)
    if ca_file is None and not insecure:
        return None
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    assert ca_file is not None
    try:
        context.load_verify_locations(ca_file)
    except ssl.SSLError:
        complain(f"--ca-file: {ca_file} holds no certificate", MISTAKEN)
    except OSError as problem:
        complain(f"--ca-file: {ca_file} cannot be read: {problem.strerror}", MISTAKEN)
    return context
