"""Log lines on standard error: one JSON object each, or text for a terminal. No secret gets into them."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import structlog
from structlog.stdlib import ProcessorFormatter

from tallygate.gateway.settings import Settings, secrets
from tallygate.gateway.settings.problems import MASK

Event = MutableMapping[str, Any]

SHORTEST = 4
"""Configured secrets of fewer characters are masked only as whole values: their letters are in every word."""

_SECRET_KEY = re.compile(
    r"(^|[_-])(authorization|key|secret|password|passwd|token|cookie|credentials?)\Z", re.IGNORECASE
)
_SECRET_TEXT = re.compile(
    r"(?P<bearer>\bbearer\s+)[^\s\"',;]+|(?P<query>[?&](?:api[_-]?)?key=)[^&\s\"']+"
    r"|\b(?:sk-[A-Za-z0-9_-]{8,}|tg-[A-Za-z0-9]{20,})",
    re.IGNORECASE,
)

_COMMANDS = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029)}
"""Characters that JSON lets stand, and that terminals obey or readers take for the end of a line."""

log = structlog.get_logger("tallygate.gateway")


class _Handler(logging.StreamHandler[Any]):
    """Ours, so that configuring again replaces it and nobody else's."""


def configure_logging(settings: Settings) -> None:
    """Write what this process logs, by structlog or the standard library, in the configured form."""
    render = _json_line if settings.log.format == "json" else _plain_line
    handler = _Handler(sys.stderr)
    handler.setFormatter(
        ProcessorFormatter(
            processors=[
                structlog.processors.format_exc_info,
                _arranged,
                ProcessorFormatter.remove_processors_meta,
                Redaction(secrets(settings)),
                render,
            ]
        )
    )
    root = logging.getLogger()
    for other in [one for one in root.handlers if isinstance(one, _Handler)]:
        root.removeHandler(other)
    root.addHandler(handler)
    root.setLevel(settings.log.level.upper())
    # Its plugins, one by one, in every worker.
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def log_start(settings: Settings, bound: Sequence[tuple[str, int]]) -> None:
    """Tell where the gateway and its metrics are. ``bound``: (host, port) of the API, then of the metrics' listener."""
    metrics = settings.metrics
    if metrics.enabled:
        listener = metrics.listener or settings.server
        where = url_of(*bound[-1 if metrics.listener is not None else 0], tls=listener.tls is not None)
        where += metrics.endpoint
        log.info("prometheus metrics enabled", endpoint=metrics.endpoint, prometheus_metrics_url=where)
    else:
        log.info("prometheus metrics disabled")
    if settings.server.master_key is None and not settings.accounts.enabled:
        log.warning(
            "no master key is set: whoever reaches this address can use the providers",
            mend="set TALLYGATE_MASTER_KEY, or server.master_key in the file",
        )
    keys = (settings.server.master_key, settings.accounts.admin_key, metrics.secret)
    if metrics.enabled and metrics.listener is None and settings.accounts.enabled and not any(keys):
        log.warning(
            "callers need keys and nobody has one for the metrics: they cannot be read",
            mend="set metrics.secret, or metrics.listener to have them on a port of their own",
        )
    url = url_of(*bound[0], tls=settings.server.tls is not None)
    log.info(
        "gateway is listening",
        url=url,
        **({"live_page_url": url + settings.dashboard.path} if settings.dashboard.enabled else {}),
        providers=list(settings.providers),
        workers=settings.server.workers,
    )


def url_of(host: str, port: int, *, tls: bool = False) -> str:
    """The address at which a listener can be reached from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http{'s' if tls else ''}://{f'[{host}]' if ':' in host else host}:{port}"


class Redaction:
    """Masks values under keys that name secrets, known secrets wherever they are, and what looks like a key."""

    def __init__(self, known: Iterable[str]) -> None:
        self._whole = frozenset(known)
        parts = {
            form for one in self._whole if len(one) >= SHORTEST for form in (one, quote(one, safe=""), repr(one)[1:-1])
        }
        longest_first = sorted(parts, key=len, reverse=True)
        self._parts = re.compile("|".join(map(re.escape, longest_first))) if parts else None

    def __call__(self, logger: Any, method: str, event: Event) -> Event:
        return {key: self._masked(key, value) for key, value in event.items()}

    def _masked(self, key: str, value: Any) -> Any:
        if _SECRET_KEY.search(key) and value not in (None, ""):
            return MASK
        if isinstance(value, Mapping):
            return {str(name): self._masked(str(name), one) for name, one in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._masked("", one) for one in value]
        if isinstance(value, bool | int | float) or value is None:
            return value
        return self.text(value.decode(errors="replace") if isinstance(value, bytes) else str(value))

    def text(self, text: str) -> str:
        """A text without secrets."""
        if text in self._whole:
            return MASK
        if self._parts is not None:
            text = self._parts.sub(MASK, text)
        return _SECRET_TEXT.sub(lambda match: f"{match['bearer'] or match['query'] or ''}{MASK}", text)


def _arranged(logger: Any, method: str, event: Event) -> Event:
    """Time, level and message first."""
    record: logging.LogRecord = event["_record"]
    time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    message = event.pop("event", "")
    return {"time": time, "level": record.levelname, "msg": message, **event}


def _json_line(logger: Any, method: str, event: Event) -> str:
    return _as_json(event)


def _plain_line(logger: Any, method: str, event: Event) -> str:
    shown = dict(event)
    time, level, message = (shown.pop(key) for key in ("time", "level", "msg"))
    exception = shown.pop("exception", None)
    rest = "".join(f"  {key}={_plain_value(value)}" for key, value in shown.items())
    return f"{time[11:19]} {level:<7} {message}{rest}" + (f"\n{exception}" if exception else "")


def _plain_value(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(_plain_value, value))
    if isinstance(value, str) and (" " in value or not value.isprintable()):
        return _as_json(value)
    return str(value)


def _as_json(value: object) -> str:
    """JSON in which nothing ends a line or commands a terminal."""
    return json.dumps(value, ensure_ascii=False).translate(_COMMANDS)
