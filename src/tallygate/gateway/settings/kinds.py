"""The kinds of values that settings are made of, and how text from the environment becomes one."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field, SecretStr
from pydantic_core import PydanticCustomError

TRUE = frozenset({"true", "1", "yes", "on"})
FALSE = frozenset({"false", "0", "no", "off", ""})
PROVIDER_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*\Z")
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")


def wrong(problem: str, mend: str) -> PydanticCustomError:
    """A value that cannot be: what is wrong with it, and what would mend it."""
    return PydanticCustomError("setting", "{problem}", {"problem": problem, "mend": mend})


def _truth(value: Any) -> Any:
    if isinstance(value, str):
        word = value.strip().lower()
        if word in TRUE or word in FALSE:
            return word in TRUE
    if isinstance(value, bool):
        return value
    if value in (0, 1):
        return bool(value)
    raise wrong("is no truth value", "use true, 1, yes or on; or false, 0, no, off or nothing")


def _listed(value: Any) -> Any:
    """A list from text: a JSON array, or words between commas."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            raise wrong("is no JSON array", 'write ["one", "two"], or one,two') from None
    return [word for word in (part.strip() for part in value.split(",")) if word]


def _secret(value: SecretStr | None) -> SecretStr | None:
    """Secrets travel in HTTP headers; an empty one is none."""
    text = value.get_secret_value().strip() if value is not None else ""
    if not (text.isascii() and text.isprintable()):
        raise wrong("has characters that an HTTP header cannot carry", "check for line breaks and copied symbols")
    return SecretStr(text) if text else None


def _some_secret(value: SecretStr) -> SecretStr:
    if (kept := _secret(value)) is None:
        raise wrong("is empty", "give it a value, or leave it out")
    return kept


def _base_url(value: str) -> str:
    value = value.strip()
    if not value:
        raise wrong("is empty", "say where the provider is, as in https://api.example.com/v1")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise wrong("is no URL", "use printable ASCII without spaces, as in https://api.example.com/v1")
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise wrong("is no URL", "write it as in https://api.example.com/v1") from None
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise wrong("is no http or https URL", "write it as in https://api.example.com/v1")
    if "@" in parts.netloc:
        raise wrong("carries credentials", "take them out of the URL and use api_key or headers")
    if parts.query or parts.fragment or value.endswith(("?", "#")):
        raise wrong("has a query or a fragment", "end it with the path; api_version is a setting of its own")
    return value.rstrip("/")


def _number(value: Any) -> Any:
    """Python counts truth values among the numbers; people do not."""
    if isinstance(value, bool):
        raise wrong("is no number", "write a number")
    return value


def _provider_name(value: str) -> str:
    if not PROVIDER_NAME.match(value):
        raise wrong(f"{value!r} is no name for a provider", "use lower-case letters, digits, - and _")
    return value


def _price(value: Decimal) -> Decimal:
    if not value.is_finite() or value < 0:
        raise wrong("is no price", "use a number of USD per million tokens, 0 or more")
    return value


def _header(value: str) -> str:
    """A header's name; '' where one follows from the rest."""
    if value and not HEADER_NAME.match(value):
        raise wrong("is no name of an HTTP header", "use letters, digits and hyphens, as in X-Team")
    return value


def _probe_path(value: str) -> str:
    if not value.startswith("/") or not value.isascii() or not value.isprintable() or " " in value or "#" in value:
        raise wrong("is no path", "begin with / and use printable ASCII, as in /health")
    return value


def _no_doubles(values: tuple[str, ...]) -> tuple[str, ...]:
    if doubled := [value for index, value in enumerate(values) if value in values[:index]]:
        raise wrong(f"names {doubled[0]!r} twice", "remove one")
    return values


Text = Annotated[str, Field(min_length=1)]
Truth = Annotated[bool, BeforeValidator(_truth)]
Port = Annotated[int, Field(ge=0, le=65535), BeforeValidator(_number)]
Count = Annotated[int, Field(ge=1), BeforeValidator(_number)]
SomeCount = Annotated[int, Field(ge=0), BeforeValidator(_number)]
"""A count that may be 0."""
Bytes = Annotated[ByteSize, Field(ge=1), BeforeValidator(_number)]
"""A number of bytes, or text such as 32MiB."""
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False), BeforeValidator(_number)]
SomeSeconds = Annotated[float, Field(ge=0, allow_inf_nan=False), BeforeValidator(_number)]
"""Seconds that may be 0."""
Secret = Annotated[SecretStr | None, AfterValidator(_secret)]
SomeSecret = Annotated[SecretStr, AfterValidator(_some_secret)]
Words = Annotated[tuple[Text, ...], BeforeValidator(_listed), AfterValidator(_no_doubles)]
Listed = BeforeValidator(_listed)
BaseURL = Annotated[str, AfterValidator(_base_url)]
Price = Annotated[Decimal, BeforeValidator(_number), AfterValidator(_price)]
ProviderName = Annotated[str, AfterValidator(_provider_name)]
HeaderName = Annotated[str, AfterValidator(_header)]
ProbePath = Annotated[str, AfterValidator(_probe_path)]
