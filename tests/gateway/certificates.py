"""Certificates and keys in files, from an authority of the test's own."""

import ssl
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)


class Authority:
    """Signs certificates for host names, and for clients."""

    def __init__(self, directory: Path, name: str = "ca") -> None:
        self._ca = trustme.CA(organization_name=name)
        self._directory = directory
        self.file = directory / f"{name}.pem"
        self._ca.cert_pem.write_to_path(str(self.file))

    def issue(self, *hosts: str, stem: str = "server") -> tuple[Path, Path]:
        """Write a new certificate and its key; returns their files."""
        issued = self._ca.issue_cert(*(hosts or ("localhost", "127.0.0.1")))
        certificate, key = self._directory / f"{stem}.crt", self._directory / f"{stem}.key"
        certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())
        return certificate, key

    def client(self, *hosts: str) -> ssl.SSLContext:
        """What trusts this authority; ``hosts``: with a certificate for them to show."""
        context = ssl.create_default_context(cafile=str(self.file))
        if hosts:
            self._ca.issue_cert(*hosts).configure_cert(context)
        return context


def encrypted(key: Path, password: str) -> Path:
    """The same key, encrypted, in another file."""
    file = key.with_suffix(".encrypted")
    private = load_pem_private_key(key.read_bytes(), None)
    file.write_bytes(
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password.encode()))
    )
    return file
