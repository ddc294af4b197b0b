"""URLs of Redis servers."""

from __future__ import annotations

import pytest

from tallygate.gateway.state.address import Address, AddressError, address_of


@pytest.mark.parametrize(
    ("url", "address", "shown"),
    [
        ("redis://cache", Address("cache"), "redis://cache:6379/0"),
        ("redis://:p%40ss@cache:7000/3", Address("cache", 7000, password="p@ss", database=3), "redis://cache:7000/3"),
        ("redis://me:secret@[::1]:7000/", Address("::1", 7000, user="me", password="secret"), "redis://[::1]:7000/0"),
        (
            "rediss://cache?ssl_ca_certs=/etc/ca.pem",
            Address("cache", tls=True, authorities="/etc/ca.pem"),
            "rediss://cache:6379/0",
        ),
        ("unix:///run/redis.sock?db=2", Address(path="/run/redis.sock", database=2), "unix:///run/redis.sock/2"),
    ],
)
def test_urls(url: str, address: Address, shown: str) -> None:
    assert address_of(url) == address
    assert str(address) == shown
    assert "secret" not in repr(address)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "is no redis, rediss or unix URL"),
        ("http://cache", "is no redis, rediss or unix URL"),
        ("redis://", "names no host"),
        ("redis://cache:0", "names no host"),
        ("redis://cache:x", "is no URL"),
        ("redis://cache:70000", "is no URL"),
        ("redis://[::1", "is no URL"),
        ("redis://cache/one", "has a database that is no number"),
        ("redis://cache?db=1", "has the unknown option 'db'"),
        ("unix://host/run/redis.sock", "names no socket file"),
    ],
)
def test_what_is_none(url: str, problem: str) -> None:
    with pytest.raises(AddressError) as error:
        address_of(url)
    assert error.value.problem == problem
    assert error.value.mend
