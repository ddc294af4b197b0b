"""Why there is no page: no answer, or an answer that is none."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from tallygate.scraping.address import PATH, Address, AddressError
from tallygate.scraping.diagnosis.findings import Finding, problem, warning
from tallygate.scraping.fetching import Answer, Client, FetchError
from tallygate.scraping.parsing import format_of
from tallygate.scraping.plain import plain

REDIRECTS = (301, 302, 303, 307, 308)
HEALTH = "/health"


def unreached(failure: FetchError, address: Address) -> Finding:
    """What a request that got no answer means."""
    reason, place = plain(failure.reason), f"{address.host}:{address.port}"
    match failure.stage:
        case "name":
            return problem(
                "unknown-host",
                f"the name {address.host} has no address: {reason}",
                "Nothing can be asked for where its name is not known.",
                "Check the spelling, and the DNS of the machine that Prometheus runs on.",
            )
        case "connection":
            return problem(
                "no-connection",
                f"{place}: {reason}",
                "Nothing listens there, or something is in the way.",
                "Is the gateway running? From other machines it is reached with server.host = 0.0.0.0 only. Its port is"
                " server.port, 4000; that of metrics with a listener of their own is metrics.listener.port, 3131.",
            )
        case "tls":
            return problem("tls", f"{place}: {reason}", *_tls(reason))
        case "time":
            return problem(
                "timeout",
                f"{place}: {reason}",
                "Prometheus gives up after its scrape_timeout, 10 s unless set: the page counts as down.",
                "Try --timeout 60 to learn how long it takes; then raise scrape_timeout, or make the page smaller.",
            )
        case "size":
            return problem(
                "too-large",
                reason,
                "A page like this is a burden on every scrape.",
                "Find the label with too many values: curl the page, and count lines by family.",
            )
    mend = "Is it https? Then write https:// before it." if address.scheme == "http" else "Look into the server's log."
    return problem("no-http", f"{place}: {reason}", "What answered is no HTTP that can be read.", mend)


def _tls(reason: str) -> tuple[str, str]:
    if "WRONG_VERSION_NUMBER" in reason or "RECORD_LAYER" in reason or "EOF" in reason:
        return "What answered does not speak TLS.", "Write http:// instead, or give the gateway server.tls."
    if "expired" in reason:
        return "The certificate is no longer valid.", "Renew it; the gateway reads new files by itself."
    return (
        "The certificate is not trusted, or is another host's.",
        "Name the CA with --ca-file, as tls_config.ca_file in Prometheus' configuration, and ask by a name that the"
        " certificate has.",
    )


def redirected(answer: Answer) -> tuple[Finding, Address | None]:
    """What a redirect means, and where to look next; None where a key must not be carried."""
    told = plain(answer.headers.get("location", ""))
    try:
        target = answer.address.joined(answer.headers.get("location", ""))
    except AddressError:
        target = None
    if target is not None and target.origin == answer.address.origin:
        found = f"status {answer.status} sends on to {plain(target.target)}"
        means = "Prometheus follows it, with one more request each time."
        return warning("redirect", found, means, f"Scrape {plain(target.target)} itself."), target
    return (
        problem(
            "redirect",
            f"status {answer.status} sends on to {told or 'nowhere'}",
            "It is another server: Prometheus leaves the key behind, and other limits apply.",
            "Scrape that address itself, and give it to doctor, if it is the right one.",
        ),
        None,
    )


def refused(answer: Answer, client: Client, paths: Sequence[str] = ()) -> Finding:
    """What an answer without a page means; asks around, at these paths too, to find the right one."""
    status, path = answer.status, answer.address.path
    if status in (401, 403, 404) and (elsewhere := _elsewhere(answer, client, paths)):
        return problem(
            "wrong-path",
            f"{path} answers {status}, and the metrics are at {elsewhere}",
            "The gateway serves its metrics at another path.",
            f"Scrape {elsewhere}: metrics_path in Prometheus' configuration.",
        )
    if status in (401, 403):
        return _unauthorized(answer, client)
    if status == 404 and _is_gateway(answer.address, client):
        return problem(
            "disabled",
            f"{path} answers 404, and this is a gateway: {HEALTH} answers",
            "Metrics are switched off (metrics.enabled, METRICS_ENABLED), at another path (metrics.endpoint), or on a"
            " listener of their own (metrics.listener, port 3131).",
            "On its machine, `tallygate config` tells these settings.",
        )
    if status == 404:
        means = "The server has no such page, and none at /metrics."
        return problem("not-found", f"{path} answers 404", means, "Check host, port and path.")
    if status >= 500:
        means, mend = "The server, or a proxy before it, is in trouble.", "Look into its log."
    else:
        means, mend = "Prometheus takes 200 only: the page counts as down.", "Look into the server's configuration."
    return problem("status", f"{path} answers {status}", means, mend)


def _unauthorized(answer: Answer, client: Client) -> Finding:
    found = f"{answer.address.path} answers {answer.status}"
    if client.key is None:
        return problem(
            "no-key",
            f"{found}, and no key was shown",
            "The metrics are for those who have metrics.secret, or the master key.",
            "Give the key: --key-file FILE here, authorization.credentials_file in Prometheus' configuration.",
        )
    return problem(
        "wrong-key",
        f"{found} to the key that was shown",
        "It is none of metrics.secret, the master key and the admin key; or the path is wrong.",
        "Compare it with the gateway's configuration; a line end or a space in a file is no part of a key there.",
    )


def _elsewhere(answer: Answer, client: Client, known: Sequence[str]) -> str:
    """The path at which this server has metrics; '' when none is known."""
    paths = [*known, PATH]
    try:
        told = json.loads(answer.body)["error"]
    except (ValueError, KeyError, TypeError):
        told = ""
    if isinstance(told, str) and told.startswith("the metrics are at /"):
        paths.insert(0, told.removeprefix("the metrics are at "))
    for path in dict.fromkeys(paths):
        if path == answer.address.path or any(character.isspace() for character in path):
            continue
        try:
            other = replace(client, timeout=min(client.timeout, 5.0)).get(answer.address.at(path))
        except FetchError:
            continue
        if other.status == 200 and format_of(other.content_type) is not None:
            return plain(path)
    return ""


def _is_gateway(address: Address, client: Client) -> bool:
    """Whether /health answers as a gateway's does; asked without the key."""
    try:
        answer = replace(client, key=None, timeout=min(client.timeout, 5.0)).get(address.at(HEALTH))
        return answer.status == 200 and json.loads(answer.body) == {"status": "ok"}
    except (FetchError, ValueError):
        return False


def not_metrics(answer: Answer) -> Iterator[Finding]:
    """What a Content-Type means that is no metrics page's."""
    told = plain(answer.content_type)
    start = answer.body[:200].lstrip().lower()
    if "html" in told or start.startswith((b"<!doctype", b"<html")):
        yield problem(
            "not-metrics",
            f"it is a web page: Content-Type {told or 'not told'}",
            "Something else answers there: a sign-in page, a proxy, another program.",
            "Check host, port and path; a proxy must let Prometheus through.",
        )
        return
    yield problem(
        "content-type",
        f"Content-Type is {told or 'not told'}",
        "Prometheus 3 refuses a page whose type it does not know.",
        "Send text/plain; version=0.0.4, or set fallback_scrape_protocol: PrometheusText0.0.4 for this job.",
    )
