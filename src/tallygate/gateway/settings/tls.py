"""Settings of TLS: towards clients on the gateway's listeners, and towards providers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field

from tallygate.gateway.settings.kinds import Secret
from tallygate.gateway.settings.section import Section

if TYPE_CHECKING:
    from tallygate.gateway.server import TLS


class TLSSettings(Section):
    """TLS of a listener. Files are in PEM form; a replaced certificate or key is used for new connections at once."""

    certificate: Path = Field(description="file with the certificate, then those that lead to its authority")
    key: Path | None = Field(
        default=None, description="file with the private key; unset: it is in the certificate's file"
    )
    key_password: Secret = Field(default=None, description="opens the key, if it is encrypted")
    minimum_version: Annotated[
        Literal["1.2", "1.3"], BeforeValidator(lambda v: str(v) if isinstance(v, float) else v)
    ] = Field(default="1.2", description="the oldest version of TLS to speak")
    client_ca: Path | None = Field(
        default=None, description="file with the authorities that sign clients' certificates; unset: none is asked for"
    )
    client_certificate: Literal["required", "optional"] = Field(
        default="required", description="with `client_ca`: whether a client without a certificate is turned away"
    )


class UpstreamSettings(Section):
    """Connections to providers. Certificates are always checked."""

    ca_file: Path | None = Field(
        default=None, description="PEM file with authorities to trust beside the system's, for providers of one's own"
    )


def tls_of(settings: TLSSettings | None) -> TLS | None:
    """A listener's TLS as the server takes it; None when it speaks none."""
    if settings is None:
        return None
    from tallygate.gateway.server import TLS

    return TLS(
        certificate=str(settings.certificate),
        key=str(settings.key) if settings.key is not None else None,
        password=settings.key_password.get_secret_value() if settings.key_password is not None else None,
        minimum_version=settings.minimum_version,
        client_ca=str(settings.client_ca) if settings.client_ca is not None else None,
        client_required=settings.client_certificate == "required",
    )
