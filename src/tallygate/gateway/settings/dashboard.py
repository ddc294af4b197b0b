"""Settings of the live page."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from tallygate.gateway.settings.addresses import SecretURL
from tallygate.gateway.settings.kinds import Count, Seconds, Secret, Text, Truth, wrong
from tallygate.gateway.settings.section import Section

EXAMPLE = "http://prometheus:9090"


def _prometheus_url(value: SecretURL) -> SecretURL:
    text = value.get_secret_value().strip()
    # The password is not to be told of, so no message quotes the value.
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise wrong("is no URL", f"write it as in {EXAMPLE}") from None
    if not text.isascii() or not text.isprintable() or " " in text:
        raise wrong("is no URL", f"use printable ASCII without spaces, as in {EXAMPLE}")
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise wrong("is no http or https URL", f"write it as in {EXAMPLE}")
    if parts.query or parts.fragment or text.endswith(("?", "#")):
        raise wrong("has a query or a fragment", f"end it before /api/v1, as in {EXAMPLE}")
    return SecretURL(text.rstrip("/"))


PrometheusURL = Annotated[SecretURL, AfterValidator(_prometheus_url)]
"""Where Prometheus' HTTP API is; a user and a password may stand in it."""


class DashboardSettings(Section):
    """The live page, and where its figures come from."""

    enabled: Truth = Field(default=True, description="serve a live page; the master key or the admin key opens it")
    path: Text = Field(default="/dashboard", description="path of the page; must not shadow the API or the metrics")
    # No longer than the shortest step of the history: each is to have seen something.
    refresh_seconds: Seconds = Field(default=5.0, le=5, description="how often the page and its history move on")
    viewers: Count = Field(default=200, description="pages kept up to date at once, per worker; others get 503")
    session_seconds: Seconds = Field(default=43200.0, description="how long a sign-in lasts")
    prometheus_url: PrometheusURL | None = Field(
        default=None,
        description=f"a Prometheus that scrapes this gateway and is asked for the figures, as in `{EXAMPLE}`; "
        "unset: the gateway keeps the last 24 hours in memory",
    )
    prometheus_token: Secret = Field(default=None, description="bearer token for this Prometheus")
    prometheus_scrape_seconds: Seconds = Field(
        default=15.0, description="how often it scrapes this gateway; rates are taken over four times that, or longer"
    )
    prometheus_job: Text | None = Field(
        default=None, description="only what Prometheus scraped under this `job`; unset: all gateways that it scrapes"
    )
