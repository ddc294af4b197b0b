"""TLS of a listener: the context that connections are made with, and its certificate renewed when the files change."""

import logging
import os
import ssl
import time
from dataclasses import dataclass, field
from typing import Literal

log = logging.getLogger("tallygate.gateway.server")

LOOK_SECONDS = 1.0
"""How often, at most, a new connection has the files looked at."""

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

Signature = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class TLS:
    """What a listener needs to speak TLS. Files are in PEM form."""

    certificate: str
    """File with the server's certificate, then those that lead to its authority."""
    key: str | None = None
    """File with the private key; None: it is in the certificate's."""
    password: str | None = field(default=None, repr=False)
    """Opens the key, if it is encrypted."""
    minimum_version: Literal["1.2", "1.3"] = "1.2"
    client_ca: str | None = None
    """File with the authorities whose certificates clients show; None: clients show none."""
    client_required: bool = True
    """Whether a client without a certificate is turned away."""


class TLSFileError(Exception):
    """A file cannot be used: which field of TLS names it, what is wrong with it, and what would mend it."""

    def __init__(self, name: str, problem: str, mend: str) -> None:
        super().__init__(f"{name}: {problem}; {mend}")
        self.name, self.problem, self.mend = name, problem, mend


def server_context(tls: TLS) -> ssl.SSLContext:
    """A context with what the files hold now. Raises TLSFileError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[tls.minimum_version]
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    _load_certificate(context, tls)
    if tls.client_ca is not None:
        read_authorities(tls.client_ca, "client_ca", context)
        context.verify_mode = ssl.CERT_REQUIRED if tls.client_required else ssl.CERT_OPTIONAL
    return context


def read_authorities(file: str, name: str, context: ssl.SSLContext | None = None) -> None:
    """Trust the authorities of a file. ``name`` is what messages call it. Raises TLSFileError."""
    _text(file, name, "CERTIFICATE")
    try:
        (context or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)).load_verify_locations(file)
    except ssl.SSLError as error:
        raise _unusable(name, error) from None


def _load_certificate(context: ssl.SSLContext, tls: TLS) -> None:
    text = _text(tls.certificate, "certificate", "CERTIFICATE")
    if tls.key is not None:
        text = _text(tls.key, "key", "PRIVATE KEY")
    elif "PRIVATE KEY-----" not in text:
        raise TLSFileError("key", "is not set, and the certificate's file holds no key", "name the private key's file")
    if "ENCRYPTED" in text and tls.password is None:
        raise TLSFileError("key_password", "is not set, but the key is encrypted", "set it, or use a plain key")
    try:
        # Always with a password: without one OpenSSL would ask for it at the terminal.
        context.load_cert_chain(tls.certificate, tls.key, tls.password or "")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            mend = "name the key that the certificate was made for"
            raise TLSFileError("key", "does not belong to the certificate", mend) from None
        if "ENCRYPTED" in text:
            raise TLSFileError("key_password", "does not open the key", "check it") from None
        raise _unusable("certificate", error) from None


def _text(file: str, name: str, what: str) -> str:
    """A PEM file's text. Raises TLSFileError when it cannot be read or holds nothing of this kind."""
    try:
        with open(file, encoding="utf-8", errors="replace") as opened:
            text = opened.read()
    except OSError as error:
        problem = f"the file {file!r} cannot be read: {error.strerror}"
        raise TLSFileError(name, problem, "name a PEM file that the gateway may read") from None
    if f"{what}-----" not in text:
        problem = f"the file {file!r} holds no {what.lower()} in PEM form"
        raise TLSFileError(name, problem, f"name a file with a line -----BEGIN {what}-----")
    return text


def _unusable(name: str, error: ssl.SSLError) -> TLSFileError:
    reason = error.reason.replace("_", " ").lower() if error.reason else "it is damaged"
    return TLSFileError(name, f"cannot be used ({reason})", "look at it with `openssl x509 -text`")


class RenewedContext:
    """A listener's context. Whoever connects after the certificate or its key was replaced gets the new one.

    Only these two are renewed: other settings, and the authorities of clients, are those of the start.
    """

    def __init__(self, tls: TLS, look_seconds: float | None = None) -> None:
        """Raises TLSFileError."""
        self._tls, self._look_seconds = tls, LOOK_SECONDS if look_seconds is None else look_seconds
        self._loaded = self._failed = self._signature()
        self.context = server_context(tls)
        """What the listener is opened with."""
        self._current = self.context
        self._looked_at = time.monotonic()
        self.context.sni_callback = self._greet

    def _greet(self, connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        """A client says hello, with or without a server's name."""
        now = time.monotonic()
        if now - self._looked_at >= self._look_seconds:
            self._looked_at = now
            self._look()
        if self._current is not context:
            connection.context = self._current

    def _look(self) -> None:
        found = self._signature()
        if found in (self._loaded, self._failed):
            return
        try:
            self._current = server_context(self._tls)
        except TLSFileError as error:
            # Often one of two files that are being replaced: the other changes what is found.
            self._failed = found
            log.error("the new TLS certificate cannot be used, the old one stays: %s", error)
        else:
            self._loaded = self._failed = found
            log.info("the TLS certificate was renewed from %s", self._tls.certificate)

    def _signature(self) -> Signature:
        """What tells that a file is another one; empty for those that are not there."""
        found = []
        for file in filter(None, (self._tls.certificate, self._tls.key)):
            try:
                status = os.stat(file)
            except OSError:
                found.append((0, 0, 0))
            else:
                found.append((status.st_mtime_ns, status.st_ino, status.st_size))
        return tuple(found)
