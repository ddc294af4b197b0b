"""What is wrong with the settings of the live page, and how it is mended."""

import pytest

from tallygate.gateway.settings import ConfigurationError, Settings, load, masked
from tallygate.gateway.settings.addresses import SecretURL

PROVIDER = {"OPENAI_API_KEY": "k"}


def problem(**environ: str) -> str:
    """What is said of these settings of the page."""
    named = {f"TALLYGATE_DASHBOARD__{name.upper()}": value for name, value in environ.items()}
    with pytest.raises(ConfigurationError) as refused:
        load({}, None, {**PROVIDER, **named}, None)
    return str(refused.value)


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("dashboard", "is no path of its own; begin with / and use plain segments, as in /dashboard"),
        ("/", "is no path of its own"),
        ("/a b", "is no path of its own"),
        ("/dashboard/", "is no path of its own"),
        ("/../x", "is no path of its own"),
        ("/v1", "is served already (/v1); use another, as in /dashboard"),
        ("/admin/page", "is served already (/admin)"),
        ("/metrics", "is served already (/metrics)"),
        ("/health", "is served already (/health)"),
    ],
)
def test_a_path_of_its_own(path: str, wrong: str) -> None:
    said = problem(path=path)
    assert "TALLYGATE_DASHBOARD__PATH" in said
    assert wrong in said


def test_the_metrics_are_not_below_the_page() -> None:
    environ = {**PROVIDER, "TALLYGATE_METRICS__ENDPOINT": "/dashboard/metrics"}
    with pytest.raises(ConfigurationError, match=r"holds the metrics' path \(/dashboard/metrics\)"):
        load({}, None, environ, None)


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("prometheus:9090", "is no http or https URL; write it as in http://prometheus:9090"),
        ("ftp://u:s3cret@h", "is no http or https URL"),
        ("http://u:s3cret@h:port", "is no URL"),
        ("http://u:s3cret@h:0", "is no http or https URL"),
        ("http://", "is no http or https URL"),
        ("http://u:s3cret@h/ x", "is no URL; use printable ASCII without spaces"),
        ("http://u:s3cret@h/?a=b", "has a query or a fragment; end it before /api/v1"),
        ("http://u:s3cret@h/#", "has a query or a fragment"),
    ],
)
def test_where_prometheus_is(url: str, wrong: str) -> None:
    said = problem(prometheus_url=url)
    assert "TALLYGATE_DASHBOARD__PROMETHEUS_URL" in said
    assert wrong in said
    assert "s3cret" not in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("refresh_seconds", "0"),
        ("refresh_seconds", "5.1"),
        ("viewers", "0"),
        ("session_seconds", "-1"),
        ("enabled", "maybe"),
    ],
)
def test_numbers_that_cannot_be(name: str, value: str) -> None:
    assert f"TALLYGATE_DASHBOARD__{name.upper()}" in problem(**{name: value})


def test_passwords_and_tokens_are_masked() -> None:
    dashboard = {"prometheus_url": " http://u:s3cret@h:9090/prefix/ ", "prometheus_token": "t0ken"}
    settings = Settings.model_validate({"dashboard": dashboard})
    assert settings.dashboard.prometheus_url == SecretURL("http://u:s3cret@h:9090/prefix")
    shown = masked(settings)["dashboard"]
    assert shown["prometheus_url"] == "http://u:********@h:9090/prefix"
    assert shown["prometheus_token"] == "********"
