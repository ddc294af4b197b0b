"""Addresses as people write them."""

import pytest

from tallygate.scraping.address import AddressError, address


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("localhost:4000", "http://localhost:4000/metrics"),
        ("http://localhost:4000/", "http://localhost:4000/metrics"),
        ("http://gateway/internal/m", "http://gateway/internal/m"),
        ("https://Gateway.example/metrics?dialect=aurora", "https://gateway.example/metrics?dialect=aurora"),
        ("https://gateway:443", "https://gateway/metrics"),
        ("127.0.0.1:4000?dialect=otel", "http://127.0.0.1:4000/metrics?dialect=otel"),
        ("http://[::1]:4000", "http://[::1]:4000/metrics"),
        ("http://bücher.example/é", "http://xn--bcher-kva.example/%C3%A9"),
    ],
)
def test_what_is_meant(given: str, told: str) -> None:
    assert str(address(given)) == told


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("", ": is no address"),
        ("http://a b/", "http://a b/: is no address"),
        ("http://a/\x1b[31m", "http://a/\N{REPLACEMENT CHARACTER}[31m: is no address"),
        ("ftp://a/", "ftp://a/: ftp is not spoken here, only http and https are"),
        ("http:///metrics", "http:///metrics: names no host"),
        ("http://a:99999/", "http://a:99999/: Port out of range 0-65535"),
        (
            "http://user:secret@a/",
            "(hidden): has a user or password in it, which would be shown; use --key-file instead",
        ),
    ],
)
def test_what_is_none(given: str, problem: str) -> None:
    with pytest.raises(AddressError) as told:
        address(given)
    assert str(told.value) == f"{problem}; write it as in http://127.0.0.1:4000/metrics"


def test_redirects_are_joined() -> None:
    page = address("http://a:4000/metrics?dialect=otel")
    assert str(page.joined("/other")) == "http://a:4000/other"
    assert str(page.joined("https://b/")) == "https://b/"
    assert page.joined("other").origin == page.origin
    assert str(page.at("/health")) == "http://a:4000/health?dialect=otel"
