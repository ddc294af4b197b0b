"""Where Grafana is and who asks: from options and the environment. What is missing is said with its name."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from tallygate.cli.commands import MISTAKEN, complain

NO_CREDENTIALS = "Set GRAFANA_TOKEN or both GRAFANA_USER and GRAFANA_PASS (or --token-file, or --user, --password-file)"


def address(url: str) -> str:
    """The address without slash at its end; ends with status 2 for one that is none."""
    try:
        parts = urlsplit(url.strip())
        parts.port  # noqa: B018 - a property that raises for what is no port
    except ValueError:
        complain(f"--url: {url!r} is no address; write it as in http://localhost:3000", MISTAKEN)
    if parts.username is not None or parts.password is not None:
        complain("--url: has a user in it; give GRAFANA_USER and GRAFANA_PASS instead", MISTAKEN)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        complain(f"--url: {url!r} is no http or https address; write it as in http://localhost:3000", MISTAKEN)
    return url.strip().rstrip("/")


def authorization(token_file: Path | None, user: str | None, password_file: Path | None) -> str:
    """The header's value; options go before the environment, a token before a user. Ends with status 2 without any."""
    from tallygate.dashboards.grafana import basic, bearer

    if token_file is not None and (user is not None or password_file is not None):
        complain("--token-file and --user exclude each other; give one of them", MISTAKEN)
    if token_file is not None:
        return bearer(_in_header("--token-file", _secret("--token-file", token_file)))
    asks_by_name = user is not None or password_file is not None
    if not asks_by_name and (token := os.environ.get("GRAFANA_TOKEN", "").strip()):
        return bearer(_in_header("GRAFANA_TOKEN", token))
    name = user if user is not None else os.environ.get("GRAFANA_USER", "")
    password = (
        _secret("--password-file", password_file) if password_file is not None else os.environ.get("GRAFANA_PASS", "")
    )
    if name and password:
        if ":" in name:
            complain(f"--user: {name!r} has a colon, which basic authentication cannot carry; use a token", MISTAKEN)
        return basic(name, password)
    missing = "GRAFANA_PASS is not set. " if name else "GRAFANA_USER is not set. " if password else ""
    return complain(missing + NO_CREDENTIALS, MISTAKEN)


def _secret(option: str, file: Path) -> str:
    try:
        secret = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        complain(f"{option}: {file}: cannot be read: {reason}; name a file that holds it", MISTAKEN)
    if not secret:
        complain(f"{option}: {file}: is empty; put the secret into it", MISTAKEN)
    return secret


def _in_header(where: str, token: str) -> str:
    if not token.isascii() or not token.isprintable():
        complain(f"{where}: holds more than a line of ASCII; put the token into it and nothing else", MISTAKEN)
    return token
