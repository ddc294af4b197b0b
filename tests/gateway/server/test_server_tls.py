"""TLS on a listener: versions, clients' certificates, renewal, and those who do not speak it."""

import asyncio
import logging
import ssl
from pathlib import Path

import pytest

from tallygate.gateway.server import TLS, Limits
from tallygate.gateway.server.tls import RenewedContext, TLSFileError, server_context
from tests.gateway.certificates import Authority, encrypted

from .listening import Listening, Message, Receive, Send, answer, listening

LAST = b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def app(scope: Message, receive: Receive, send: Send) -> None:
    await answer(send, scope["scheme"].encode())


def tls_of(authority: Authority, **more: object) -> TLS:
    certificate, key = authority.issue()
    return TLS(str(certificate), str(key), **more)  # type: ignore[arg-type]  # as the test says


async def serial(server: Listening, client: ssl.SSLContext) -> str:
    """The serial number of the certificate that is shown now."""
    _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=client, server_hostname="localhost")
    shown = writer.get_extra_info("peercert")["serialNumber"]
    writer.transport.abort()
    return str(shown)


async def test_https(authority: Authority) -> None:
    async with listening(app, tls=tls_of(authority)) as server:
        assert (await server.ask(LAST, authority.client())).body == b"https"
        # A refusal arrives whole, too.
        assert (await server.ask(b"HELLO\r\n\r\n", authority.client())).status == 400


async def test_a_large_answer(authority: Authority) -> None:
    async def large(scope: Message, receive: Receive, send: Send) -> None:
        await answer(send, b"x" * 3_000_000)

    async with listening(large, tls=tls_of(authority)) as server:
        assert (await server.ask(LAST, authority.client())).body == b"x" * 3_000_000


@pytest.mark.parametrize(
    ("minimum", "offered", "spoken"),
    [
        ("1.2", ssl.TLSVersion.TLSv1_3, "TLSv1.3"),
        ("1.2", ssl.TLSVersion.TLSv1_2, "TLSv1.2"),
        ("1.3", ssl.TLSVersion.TLSv1_3, "TLSv1.3"),
        ("1.3", ssl.TLSVersion.TLSv1_2, None),
    ],
)
async def test_versions(authority: Authority, minimum: str, offered: ssl.TLSVersion, spoken: str | None) -> None:
    client = authority.client()
    client.maximum_version = offered
    async with listening(app, tls=tls_of(authority, minimum_version=minimum)) as server:
        if spoken is None:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await server.ask(LAST, client)
            return
        async with server.client(client) as one:
            assert one.writer.get_extra_info("ssl_object").version() == spoken
            assert one.writer.get_extra_info("ssl_object").compression() is None


def test_nothing_older_is_ever_spoken(authority: Authority) -> None:
    context = server_context(tls_of(authority))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION


@pytest.mark.parametrize("required", [True, False])
async def test_clients_certificates(tmp_path: Path, authority: Authority, required: bool) -> None:
    clients = Authority(tmp_path, "clients")
    wanted = tls_of(authority, client_ca=str(clients.file), client_required=required)

    def client(signed_by: Authority | None) -> ssl.SSLContext:
        context = authority.client()
        if signed_by is not None:
            context.load_cert_chain(*signed_by.issue("somebody", stem="client"))
        return context

    async with listening(app, tls=wanted) as server:
        assert (await server.ask(LAST, client(clients))).status == 200
        for stranger in (None, Authority(tmp_path, "others")):
            if stranger is None and not required:
                assert (await server.ask(LAST, client(None))).status == 200
                continue
            with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
                await server.ask(LAST, client(stranger))


async def test_an_encrypted_key(authority: Authority) -> None:
    certificate, key = authority.issue()
    async with listening(app, tls=TLS(str(certificate), str(encrypted(key, "open sesame")), "open sesame")) as server:
        assert (await server.ask(LAST, authority.client())).status == 200


async def test_key_and_certificate_in_one_file(tmp_path: Path, authority: Authority) -> None:
    certificate, key = authority.issue()
    both = tmp_path / "both.pem"
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    async with listening(app, tls=TLS(str(both))) as server:
        assert (await server.ask(LAST, authority.client())).status == 200


async def test_a_replaced_certificate_is_shown_to_whoever_connects_next(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tallygate.gateway.server")
    monkeypatch.setattr("tallygate.gateway.server.tls.LOOK_SECONDS", 0.0)
    client = authority.client()
    async with listening(app, tls=tls_of(authority)) as server, server.client(client) as open_before:
        first = await serial(server, client)
        assert await serial(server, client) == first
        certificate, key = authority.issue(stem="new")
        # One file after the other, as programs that renew certificates do.
        certificate.replace(authority.issue()[0].with_name("server.crt"))
        assert await serial(server, client) == first
        assert caplog.messages == [
            "the new TLS certificate cannot be used, the old one stays: "
            "key: does not belong to the certificate; name the key that the certificate was made for"
        ]
        key.replace(certificate.with_name("server.key"))
        second = await serial(server, client)
        assert second != first
        assert await serial(server, client) == second
        assert caplog.messages[1:] == [f"the TLS certificate was renewed from {certificate.with_name('server.crt')}"]
        # Who was connected stays.
        await open_before.say(LAST)
        assert (await open_before.answer()).status == 200


async def test_the_files_are_not_looked_at_for_every_connection(authority: Authority) -> None:
    renewed = RenewedContext(tls_of(authority), look_seconds=1000)
    before = renewed.context
    authority.issue()
    renewed._greet(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), True), "", before)
    assert renewed._current is before


async def test_those_who_do_not_speak_tls(authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
    async with listening(app, tls=tls_of(authority)) as server:
        for data in (LAST, b"\x16\x03\x01\xff\xff" + b"\0" * 100, b"\0" * 1000):
            async with server.client() as client:
                await client.say(data)
                # An alert of TLS, or nothing.
                assert not (await client.rest()).startswith(b"HTTP")
        assert (await server.ask(LAST, authority.client())).status == 200
    assert caplog.records == []


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01"])
async def test_a_handshake_that_does_not_end(authority: Authority, said: bytes) -> None:
    async with listening(app, Limits(head_seconds=0.1), tls=tls_of(authority)) as server, server.client() as client:
        await client.say(said)
        async with asyncio.timeout(10):
            assert await client.rest() == b""


def test_files_that_cannot_be_used(tmp_path: Path, authority: Authority) -> None:
    certificate, key = (str(file) for file in authority.issue())
    other = str(authority.issue(stem="other")[1])
    locked = str(encrypted(Path(key), "open sesame"))
    torn, gone = str(tmp_path / "torn.pem"), str(tmp_path / "gone")
    Path(torn).write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    unread = f"the file {gone!r} cannot be read: No such file or directory; name a PEM file that the gateway may read"
    begin = "in PEM form; name a file with a line -----BEGIN"
    look = "look at it with `openssl x509 -text`"
    for tls, said in (
        (TLS(gone), f"certificate: {unread}"),
        (TLS(str(tmp_path)), f"certificate: {unread}".replace(gone, str(tmp_path)).replace("No such file or", "Is a")),
        (TLS(key), f"certificate: the file {key!r} holds no certificate {begin} CERTIFICATE-----"),
        (TLS(certificate), "key: is not set, and the certificate's file holds no key; name the private key's file"),
        (TLS(certificate, gone), f"key: {unread}"),
        (TLS(certificate, certificate), f"key: the file {certificate!r} holds no private key {begin} PRIVATE KEY-----"),
        (
            TLS(certificate, other),
            "key: does not belong to the certificate; name the key that the certificate was made for",
        ),
        (TLS(certificate, locked), "key_password: is not set, but the key is encrypted; set it, or use a plain key"),
        (TLS(certificate, locked, "open"), "key_password: does not open the key; check it"),
        (TLS(torn, key), f"certificate: cannot be used (it is damaged); {look}"),
        (TLS(certificate, key, client_ca=torn), f"client_ca: cannot be used (it is damaged); {look}"),
        (TLS(certificate, key, client_ca=gone), f"client_ca: {unread}"),
    ):
        with pytest.raises(TLSFileError) as error:
            server_context(tls)
        assert str(error.value) == said
    assert "open sesame" not in repr(TLS(certificate, locked, "open sesame"))
