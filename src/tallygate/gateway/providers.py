"""A configured provider: its URLs and its credentials."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import quote, unquote_plus

from tallygate.gateway.concealing import Concealer
from tallygate.gateway.routes import Route
from tallygate.gateway.settings import ProviderSettings
from tallygate.gateway.upstream import Timeouts

NATIVE_PATHS = {
    "openai": "/v1/chat/completions",
    "azure": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/{model}:generateContent",
}

CREDENTIAL_HEADERS = frozenset({b"authorization", b"x-api-key", b"x-goog-api-key", b"api-key"})
"""Request headers that carry a caller's key: never forwarded unless that key is meant for the provider."""

NOT_FORWARDED = frozenset(
    {
        b"host", b"content-length", b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding",
        b"te", b"trailer", b"upgrade", b"expect", b"accept-encoding", b"proxy-authorization", b"proxy-authenticate",
        b"cookie", b"x-tallygate-cache",
    }
)  # fmt: skip
"""Hop-by-hop headers, those the gateway writes itself, and what is meant for the gateway alone."""

PLAIN = "+:@"
"""What a model's name may hold that stands for itself in a path, beside letters and the like; a slash does not."""


class Provider:
    """Where a provider is and how to sign in."""

    def __init__(self, name: str, settings: ProviderSettings, timeouts: Timeouts | None = None) -> None:
        """timeouts: of all providers, where the settings of this one do not say otherwise."""
        self.name, self.kind = name, settings.kind
        own = {
            field.removesuffix("_seconds"): seconds
            for field, seconds in settings.timeouts.model_dump(exclude_none=True).items()
        }
        self.timeouts = replace(timeouts or Timeouts(), **own)
        self.reachable = True
        """False when it did not answer the last probe."""
        self._probe_path = settings.probe_path
        self._base = str(settings.base_url).rstrip("/")
        self._api_version = settings.api_version
        self._key = settings.api_key.get_secret_value() if settings.api_key else None
        self._added = [
            (header.lower().encode(), secret.get_secret_value().encode()) for header, secret in settings.headers.items()
        ]
        if self._key:
            self._added.append(self._credential(self._key))
        self.conceal = Concealer(
            secret.get_secret_value().encode() for secret in (settings.api_key, *settings.headers.values()) if secret
        )
        """Takes what is sent to this provider out of what comes back."""
        self._replaced = frozenset(header for header, _ in self._added)
        self.models: Mapping[str, str] = {
            name: model.name for model in settings.models for name in (model.name, *model.aliases)
        }

    @property
    def native_path(self) -> str:
        """The gateway's path that this provider speaks, for messages."""
        return NATIVE_PATHS[self.kind]

    @property
    def has_key(self) -> bool:
        """Whether the gateway has a key of its own here; else a caller's may be meant for the provider."""
        return self._key is not None

    @property
    def model_in_path(self) -> bool:
        """Whether the provider's URLs name the model, even where the request's body does."""
        return self.kind == "azure" and self._api_version is not None

    def speaks(self, kind: str) -> bool:
        """Whether this provider understands requests of this kind of API."""
        return self.kind == kind or (self.kind == "azure" and kind == "openai")

    def url(self, route: Route, model: str, query: bytes, *, keep_credentials: bool) -> str:
        """The provider's URL of what was called.

        ``keep_credentials``: as for ``headers``; Gemini's clients may put the key into the query.
        """
        path = route.endpoint
        if "{model}" in path:
            path = path.replace("{model}", quote(model, safe=PLAIN))
        match self.kind:
            case "anthropic":
                url = f"{self._base}/v1{path}"
            case "gemini":
                url = f"{self._base}/{route.version}{path}"
            case "azure" if self._api_version and route.wire is None:
                url = f"{self._base}/openai{path}?api-version={self._api_version}"
            case "azure" if self._api_version and path != "/responses":
                deployment = f"{self._base}/openai/deployments/{quote(model, safe=PLAIN)}"
                url = f"{deployment}{path}?api-version={self._api_version}"
            case "azure":
                url = f"{self._base}/openai/v1{path}"
            case _:
                url = f"{self._base}{path}"
        if query:
            keep = keep_credentials and self._key is None
            forwarded = query.decode("latin-1") if keep else _without_key(query)
            if forwarded:
                url += f"{'&' if '?' in url else '?'}{forwarded}"
        return url

    def headers(
        self, received: Sequence[tuple[bytes, bytes]], *, accept_encoding: bytes, keep_credentials: bool
    ) -> list[tuple[bytes, bytes]]:
        """The headers to send: the caller's, less hop-by-hop ones and secrets, plus this provider's credentials.

        ``keep_credentials``: the gateway has no key of its own here, and the caller's is meant for the provider.
        """
        keep = keep_credentials and self._key is None
        headers = [
            (name, value)
            for name, value in received
            if name not in NOT_FORWARDED and name not in self._replaced and (keep or name not in CREDENTIAL_HEADERS)
        ]
        headers.extend(self._added)
        headers.append((b"accept-encoding", accept_encoding))
        return headers

    def probe(self) -> tuple[str, list[tuple[bytes, bytes]]]:
        """URL and headers of a request that shows whether it is there: the configured path, or its list of models."""
        headers = self.headers((), accept_encoding=b"identity", keep_credentials=False)
        if self.kind == "anthropic" and b"anthropic-version" not in self._replaced:
            headers.append((b"anthropic-version", b"2023-06-01"))
        if self._probe_path is not None:
            return self._base + self._probe_path, headers
        route = Route("", self.kind, "/models", method="GET")
        return self.url(route, "", b"", keep_credentials=False), headers

    def _credential(self, key: str) -> tuple[bytes, bytes]:
        match self.kind:
            case "anthropic":
                return b"x-api-key", key.encode()
            case "gemini":
                return b"x-goog-api-key", key.encode()
            case "azure":
                return b"api-key", key.encode()
            case _:
                return b"authorization", b"Bearer " + key.encode()


def end_to_end(received: Sequence[tuple[bytes, bytes]], connection: bytes | None) -> Sequence[tuple[bytes, bytes]]:
    """Request headers less those that the ``Connection`` header reserves for this one connection."""
    if connection is None or connection.lower() in (b"keep-alive", b"close"):
        return received
    named = {name.strip() for name in connection.lower().split(b",")}
    return [header for header in received if header[0] not in named]


def _without_key(query: bytes) -> str:
    """The query less Gemini's ``key``, which is a credential."""
    parts = query.decode("latin-1").split("&")
    return "&".join(part for part in parts if unquote_plus(part.partition("=")[0]) != "key")
