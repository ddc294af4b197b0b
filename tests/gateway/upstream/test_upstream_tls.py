"""TLS: certificates are checked, against the system's authorities, SSL_CERT_FILE or a file of one's own."""

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme

from tallygate.errors import ErrorType
from tallygate.gateway.upstream import Timeouts, Upstream, UpstreamError, open_upstream

from .scripted import Peer, Provider, provider, read

LIMITS = Timeouts(connect=5, first_byte=5, idle=5, total=20)


class Authority:
    """A certificate authority of the test's own, and a server's end for one host name."""

    def __init__(self, directory: Path) -> None:
        self._ca = trustme.CA()
        self.file = str(directory / "ca.pem")
        self._ca.cert_pem.write_to_path(self.file)
        self.names: list[str | None] = []

    def server(self, host: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(host).configure_cert(context)
        context.sni_callback = lambda _, name, __: self.names.append(name)
        return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def forever(peer: Peer) -> None:
    while True:
        await peer.answer()


def local(server: Provider) -> str:
    return server.url.replace("127.0.0.1", "localhost")


async def fetch(upstream: Upstream, url: str) -> bytes:
    try:
        return await read(await upstream.send("POST", url, [], b"{}", LIMITS))
    finally:
        await upstream.close()


async def test_a_trusted_certificate(authority: Authority) -> None:
    async with provider(forever, tls=authority.server("localhost")) as server:
        upstream = open_upstream(ca_file=authority.file)
        for _ in range(3):
            assert await read(await upstream.send("POST", local(server), [], b"{}", LIMITS)) == b"ok"
        await upstream.close()
        assert server.connections == 1
    assert authority.names == ["localhost"]


async def test_the_systems_certificate_file(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", authority.file)
    async with provider(forever, tls=authority.server("localhost")) as server:
        assert await fetch(open_upstream(), local(server)) == b"ok"


async def test_a_stranger_is_not_trusted(authority: Authority) -> None:
    async with provider(forever, tls=authority.server("localhost")) as server:
        with pytest.raises(UpstreamError, match="its certificate is not trusted") as caught:
            await fetch(open_upstream(), local(server))
    assert caught.value.error_type is ErrorType.PROVIDER_NETWORK


async def test_the_wrong_host_is_not_trusted(authority: Authority) -> None:
    async with provider(forever, tls=authority.server("example.org")) as server:
        with pytest.raises(UpstreamError, match=r"its certificate is not trusted .*localhost"):
            await fetch(open_upstream(ca_file=authority.file), local(server))


async def test_anyone_is_trusted_when_told_so(authority: Authority) -> None:
    async with provider(forever, tls=authority.server("example.org")) as server:
        assert await fetch(open_upstream(verify=False), local(server)) == b"ok"


async def test_no_tls_behind_https() -> None:
    async def plain(peer: Peer) -> None:
        await peer.reader.read(1)
        await peer.say(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")

    async with provider(plain) as server:
        with pytest.raises(UpstreamError, match=r"cannot connect to localhost:[0-9]+: no TLS") as caught:
            await fetch(open_upstream(), local(server).replace("http:", "https:"))
    assert caught.value.error_type is ErrorType.PROVIDER_NETWORK


async def test_a_large_reply_with_a_slow_reader(authority: Authority) -> None:
    body = b"0123456789" * 300_000

    async def script(peer: Peer) -> None:
        await peer.answer(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    async with provider(script, tls=authority.server("localhost")) as server:
        upstream = open_upstream(ca_file=authority.file)
        reply = await upstream.send("POST", local(server), [], b"{}", LIMITS)
        await asyncio.sleep(0.05)
        assert await read(reply) == body
        await upstream.close()


def test_a_certificate_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_upstream(ca_file=str(tmp_path / "none.pem"))
