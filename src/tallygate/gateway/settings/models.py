"""What can be configured: every setting, its default and its meaning. ``docs/configuration.md`` is made from it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ByteSize, Field, field_validator, model_validator

from tallygate.gateway.settings.accounts import AccountSettings
from tallygate.gateway.settings.cache import CacheSettings
from tallygate.gateway.settings.dashboard import DashboardSettings
from tallygate.gateway.settings.failover import FailoverSettings, RoutedModelSettings
from tallygate.gateway.settings.kinds import (
    FALSE,
    TRUE,
    BaseURL,
    Bytes,
    Count,
    HeaderName,
    Listed,
    Port,
    Price,
    ProbePath,
    ProviderName,
    Seconds,
    Secret,
    SomeSeconds,
    SomeSecret,
    Text,
    Truth,
    Words,
    wrong,
)
from tallygate.gateway.settings.rates import RateSettings
from tallygate.gateway.settings.section import Section
from tallygate.gateway.settings.shared import SharedSettings
from tallygate.gateway.settings.tls import TLSSettings, UpstreamSettings
from tallygate.gateway.settings.usage import UsageSettings
from tallygate.pricing import PriceOverride

Kind = Literal["openai", "azure", "anthropic", "gemini"]

BASE_URLS = {"anthropic": "https://api.anthropic.com", "gemini": "https://generativelanguage.googleapis.com"}
"""Where the kinds of provider live that only one vendor speaks. OpenAI's is everybody's and needs an address."""

VERSIONS = {"anthropic": ("/v1",), "gemini": ("/v1beta", "/v1"), "azure": ("/openai/v1", "/openai")}
"""Ends of base URLs that are the gateway's to add: people write them or not."""

_WITHOUT_ADDRESS = {
    "": "say where the provider is, as in base_url = 'https://api.example.com/v1'",
    "azure": "set it to the resource's address, as in 'https://NAME.openai.azure.com', or set AZURE_OPENAI_ENDPOINT",
}

DIMENSION_HEADERS = {
    "route": "X-Tallygate-Route",
    "agent_id": "X-Tallygate-Agent-Id",
    "agent_name": "X-Tallygate-Agent-Name",
    "agent_type": "X-Tallygate-Agent-Type",
    "external_agent_id": "X-Archestra-Agent-Id",
    "source": "X-Tallygate-Source",
}
"""Which header sets which built-in dimension, unless told otherwise."""


class ServerSettings(Section):
    """Where the gateway listens and who may call it."""

    host: Text = Field(default="127.0.0.1", description="address to listen on; `0.0.0.0` for all")
    port: Port = Field(default=4000, description="port to listen on; 0 takes a free one")
    workers: Count = Field(default=1, le=1024, description="processes that serve; they count in one shared ledger")
    grace_seconds: SomeSeconds = Field(
        default=30.0, description="how long answers may take to finish after SIGTERM or SIGINT"
    )
    master_key: Secret = Field(
        default=None,
        description="the key that callers present, as `Authorization: Bearer` or `x-api-key`; unset: all may call",
    )
    tls: TLSSettings | None = Field(default=None, description="speak https; unset: http")


class ListenerSettings(Section):
    """A listener for the metrics alone."""

    host: Text = Field(default="127.0.0.1", description="address to listen on")
    port: Port = Field(
        default=3131, description="port to listen on; must differ from `server.port`; 0 takes a free one"
    )
    tls: TLSSettings | None = Field(default=None, description="speak https here; unset: http, whatever `server` does")


def _listener(value: Any) -> Any:
    """A truth value instead of a table: a listener with its defaults, or none."""
    word = value.strip().lower() if isinstance(value, str) else value
    if word is True or (isinstance(word, str) and word in TRUE):
        return {}
    return None if word is False or (isinstance(word, str) and word in FALSE) else value


class MetricsSettings(Section):
    """What is counted and who may read it."""

    enabled: Truth = Field(default=True, description="off: nothing is recorded and the endpoint answers 404")
    endpoint: Text = Field(default="/metrics", description="path of the metrics; must not shadow the API")
    secret: Secret = Field(
        default=None,
        description="a bearer token for scrapers; with it, or with a master key, the metrics are protected",
    )
    dialects: Words = Field(
        default=("tallygate",), description="in whose words the endpoint answers unless `?dialect=` says so"
    )
    listener: Annotated[ListenerSettings | None, BeforeValidator(_listener)] = Field(
        default=None,
        description="serve the metrics on a listener of their own (`true`: with its defaults), not on the API's",
    )
    labels: Words = Field(default=(), description="custom labels of LLM calls; kebab-case becomes snake_case")
    identities: dict[Text, Text] = Field(
        default_factory=dict,
        description="who calls, as labels: `user_id`, `api_key_id`, `session_id`, each `raw`, `hashed` or `top:N`",
    )
    state_directory: Path | None = Field(
        default=None, description="directory in which the counters outlive the gateway; unset: they live in memory"
    )

    @field_validator("endpoint")
    @classmethod
    def _without_trailing_slash(cls, value: str) -> str:
        return value.rstrip("/") or value


class PriceSettings(Section):
    """What a model costs, in USD per million tokens."""

    input: Price = Field(description="prompt tokens outside any cache")
    output: Price = Field(default=Decimal(0), description="tokens the model wrote, reasoning included")
    cache_read: Price | None = Field(default=None, description="prompt tokens read from a cache; unset: as `input`")
    cache_write: Price | None = Field(default=None, description="prompt tokens written to a cache; unset: as `input`")


class ModelSettings(Section):
    """A model of a provider. A name alone may stand for the table."""

    name: Text = Field(description="the name to ask the provider for")
    aliases: Words = Field(default=(), description="further names by which callers may ask for it")
    price: PriceSettings | None = Field(default=None, description="goes before the price catalogue; see `prices`")

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


class TimeoutSettings(Section):
    """How long to wait for one provider; what is unset is as in `limits`."""

    connect_seconds: Seconds | None = Field(default=None, description="time to connect")
    first_byte_seconds: Seconds | None = Field(
        default=None, description="time from a request's end to the head of the reply"
    )
    idle_seconds: Seconds | None = Field(default=None, description="time between two pieces of the reply")
    total_seconds: Seconds | None = Field(default=None, description="time for the whole reply")


class ProviderSettings(Section):
    """A provider of models."""

    kind: Kind = Field(default="openai", description="the API it speaks: `openai` for anything OpenAI-shaped")
    base_url: BaseURL = Field(
        default="", description="where it is; OpenAI-shaped ones with their version, as in `https://api.openai.com/v1`"
    )
    api_key: Secret = Field(default=None, description="sent to the provider in the place its API wants")
    models: Annotated[tuple[ModelSettings, ...], Listed] = Field(
        default=(),
        description="models it serves, by name or as tables; others may be asked for, but have no label of their own",
    )
    api_version: Text | None = Field(
        default=None, description="Azure: `api-version` of the deployments' URLs; unset: the versionless `/openai/v1`"
    )
    headers: dict[HeaderName, SomeSecret] = Field(
        default_factory=dict, description="further headers to send; their values are kept secret"
    )
    timeouts: TimeoutSettings = TimeoutSettings()
    probe_path: ProbePath | None = Field(
        default=None, description="what probes ask for, after the provider's address; unset: its list of models"
    )

    @model_validator(mode="before")
    @classmethod
    def _with_base_url(cls, value: Any) -> Any:
        """Fill in the address where the kind of provider says it."""
        if isinstance(value, dict) and not value.get("base_url") and (known := BASE_URLS.get(str(value.get("kind")))):
            return {**value, "base_url": known}
        return value

    @model_validator(mode="after")
    def _complete(self) -> ProviderSettings:
        if not self.base_url:
            raise wrong("has no base_url", _WITHOUT_ADDRESS["azure" if self.kind == "azure" else ""])
        for end in VERSIONS.get(self.kind, ()):
            if self.base_url.endswith(end):
                object.__setattr__(self, "base_url", self.base_url.removesuffix(end))
                break
        return self


class DimensionSettings(Section):
    """A label whose value callers set with a header."""

    header: HeaderName = Field(
        default="",
        description="which header sets it; unset: `X-Tallygate-` and its name, as in `X-Tallygate-Agent-Id`; "
        "for `external_agent_id` it is `X-Archestra-Agent-Id`",
    )
    values: Words = Field(min_length=1, description="the values to tell apart; any other becomes `other`")


class LimitSettings(Section):
    """What the gateway bears, from clients and from providers."""

    body_bytes: Bytes = Field(default=ByteSize(32 * 1024 * 1024), description="size of a request's body; above it 413")
    head_bytes: Bytes = Field(
        default=ByteSize(64 * 1024), description="size of a request's line and headers; above it 431"
    )
    head_seconds: Seconds = Field(default=10.0, description="time for a request's head to arrive; then 408")
    body_seconds: Seconds = Field(default=60.0, description="time for a request's body to arrive; then 408")
    connections: Count = Field(
        default=10_000, description="connections at once, per worker; the requests of any more get 503"
    )
    stream_idle_seconds: Seconds = Field(default=300.0, description="time between two pieces of a provider's reply")
    upstream_connect_seconds: Seconds = Field(default=10.0, description="time to connect to a provider")
    upstream_first_byte_seconds: Seconds = Field(
        default=600.0, description="time from a request's end to the head of the reply"
    )
    upstream_total_seconds: Seconds = Field(default=3600.0, description="time for a provider's whole reply")


class LogSettings(Section):
    """What is logged, on standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], BeforeValidator(lambda v: v.lower() if isinstance(v, str) else v)
    ] = Field(default="info", description="the least important level to log")
    format: Literal["json", "plain"] = Field(
        default="json", description="one JSON object per line, or text for a terminal"
    )


class Settings(Section):
    """Everything that can be configured."""

    server: ServerSettings = ServerSettings()
    metrics: MetricsSettings = MetricsSettings()
    dashboard: DashboardSettings = DashboardSettings()
    providers: dict[ProviderName, ProviderSettings] = Field(
        default_factory=dict, description="the providers, by the name that labels show"
    )
    aliases: dict[Text, Text] = Field(
        default_factory=dict, description='other names for models: `alias = "model"` or `alias = "provider/model"`'
    )
    prices: dict[Text, PriceSettings] = Field(
        default_factory=dict, description="prices by `model` or `provider/model`; they go before the price catalogue"
    )
    models: dict[Text, RoutedModelSettings] = Field(
        default_factory=dict,
        description="models that several deployments serve, by the name that callers ask for; see `failover`",
    )
    failover: FailoverSettings = FailoverSettings()
    accounts: AccountSettings = AccountSettings()
    usage: UsageSettings = UsageSettings()
    rates: RateSettings = RateSettings()
    shared: SharedSettings = SharedSettings()
    cache: CacheSettings = CacheSettings()
    limits: LimitSettings = LimitSettings()
    upstream: UpstreamSettings = UpstreamSettings()
    dimensions: dict[str, DimensionSettings] = Field(
        default_factory=dict,
        description="labels that callers set with headers: `route`, `agent_id`, `agent_name`, `agent_type`, "
        "`external_agent_id`, `source`, and every custom label",
    )
    service: Text = Field(default="tallygate", description="name of this service, on the build's info metric")
    environment: Text = Field(default="development", description="where it runs, on the build's info metric")
    deployment_version: Text = Field(default="unknown", description="what was deployed, on the build's info metric")
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _complete(self) -> Settings:
        """Dimensions get their labels' names and their headers; prices of models join the others."""
        dimensions = {}
        for key, dimension in self.dimensions.items():
            name = key.replace("-", "_")
            header = dimension.header or DIMENSION_HEADERS.get(name) or f"X-Tallygate-{name.replace('_', '-').title()}"
            dimensions[name] = dimension.model_copy(update={"header": header})
        own = {
            f"{name}/{model.name}": model.price
            for name, provider in self.providers.items()
            for model in provider.models
            if model.price is not None
        }
        object.__setattr__(self, "dimensions", dimensions)
        object.__setattr__(self, "prices", {**own, **self.prices})
        return self

    @property
    def price_overrides(self) -> tuple[PriceOverride, ...]:
        """The configured prices as the price list takes them."""
        overrides = []
        for key, price in self.prices.items():
            provider, slash, model = key.partition("/")
            whose, name = (provider, model) if slash and provider in self.providers else (None, key)
            overrides.append(PriceOverride(name, price.input, price.output, price.cache_read, price.cache_write, whose))
        return tuple(overrides)
