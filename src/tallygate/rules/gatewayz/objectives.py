"""The objectives of its document that are about requests: 99 % of all, 99.9 % of those to the admin endpoints."""

from __future__ import annotations

from tallygate.rules.burning import Objective, burning
from tallygate.rules.given import Given
from tallygate.rules.model import Group

ADMIN = "/admin.*"


def groups(given: Given) -> tuple[Group, ...]:
    """One for each."""
    every = given("http_requests_total")
    return tuple(
        burning(
            given,
            f"gatewayz-{group}",
            Objective(
                alert,
                percent,
                requests.where(status_class="5xx").rate().sum("job"),
                f"{recorded}_failed",
                requests.rate().sum("job"),
                recorded,
                f"{what} are answered with 5xx",
            ),
        )
        for group, alert, percent, requests, recorded, what in (
            ("availability", "HTTPAvailability", 99, every, "gatewayz_http_requests", "HTTP requests"),
            (
                "admin",
                "AdminAvailability",
                99.9,
                every.like(endpoint=ADMIN),
                "gatewayz_admin_requests",
                "requests to admin endpoints",
            ),
        )
    )
