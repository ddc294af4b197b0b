"""Writes docs/configuration.md from the models.

``python -m tallygate.gateway.settings.reference > docs/configuration.md``
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ByteSize, SecretStr
from pydantic.fields import FieldInfo

from tallygate.gateway.settings.addresses import SecretURL
from tallygate.gateway.settings.loading import FLAGS
from tallygate.gateway.settings.models import Settings
from tallygate.gateway.settings.shape import Path, bare, is_section
from tallygate.gateway.settings.tree import dotted
from tallygate.gateway.settings.variables import SHORT_NAMES
from tallygate.gateway.settings.vendors import VENDORS

HEAD = """\
# Configuration

<!-- Made by `python -m tallygate.gateway.settings.reference` from src/tallygate/gateway/settings/. -->

The gateway reads its settings from flags, the environment, a `.env` file in the working directory and a file named
with `--config` or `TALLYGATE_CONFIG`. In this order: a flag goes before the environment, the environment before `.env`,
`.env` before the file, the file before the defaults. `tallygate config` checks everything and prints what is in force,
secrets masked. All that is wrong is told at once (where, which value, why, and what mends it) with exit status 2.

## The file

TOML (`.toml`) or YAML (`.yaml`, `.yml`). In its values `${VAR}` stands for an environment variable, which must be set,
and `${VAR:-default}` for one that need not be; `$${` is a plain `${`. Unknown keys are errors.

```toml
[server]
port = 4000
master_key = "${GATEWAY_KEY:-}"

[metrics]
labels = ["team"]
listener = { port = 3131 }

[providers.openai]
models = ["gpt-4o-mini", { name = "gpt-4o", aliases = ["best"] }]

[providers.local]
base_url = "http://127.0.0.1:8000/v1"
models = [{ name = "llama-3.3-70b", price = { input = 0.10, output = 0.40 } }]

[aliases]
fast = "openai/gpt-4o-mini"

[dimensions.team]
header = "X-Team"
values = ["search", "support"]
```

## The environment

Every setting has a variable: `TALLYGATE_`, then its path in capitals, joined by `__`: `TALLYGATE_SERVER__PORT`,
`TALLYGATE_PROVIDERS__LOCAL__BASE_URL`. Lists are words between commas, or JSON; tables can be JSON
(`TALLYGATE_ALIASES='{"fast": "gpt-4o-mini"}'`). Truth values are true, 1, yes, on; false, 0, no, off and the empty
text, so `METRICS_ENABLED=` turns the metrics off. Any other variable that is empty counts as not set. Every secret can
be in a file, named by its variable with `_FILE` at the end: `OPENAI_API_KEY_FILE=/run/secrets/openai`.
"""

VENDORS_HEAD = """\
## Providers from the environment

A key, or an address, makes a provider by itself. A provider of one of these names in the file takes from here what it
does not say: kind, address, key. A key from here is not used where the file gives an address of its own.
"""


def reference() -> str:
    """The whole page, Markdown."""
    lines = [HEAD.rstrip(), "", *_short_names(), "", VENDORS_HEAD.rstrip(), "", *_vendors(), "", "## Settings"]
    for path, section in _sections((), Settings):
        lines += ["", *_section(path, section)]
    return "\n".join(lines) + "\n"


def _short_names() -> Iterator[str]:
    yield "Some have a short name too; the long one goes before it."
    yield ""
    yield "| variable | setting |"
    yield "| --- | --- |"
    for name, path in SHORT_NAMES.items():
        yield f"| `{name}` | `{dotted(path)}` |"


def _vendors() -> Iterator[str]:
    yield "| provider | kind | key | address | by default |"
    yield "| --- | --- | --- | --- | --- |"
    for vendor in VENDORS.values():
        keys, addresses = (" or ".join(f"`{name}`" for name in names) for names in (vendor.keys, vendor.addresses))
        yield f"| `{vendor.name}` | {vendor.kind} | {keys} | {addresses} | {vendor.base_url} |"


def _sections(path: Path, section: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """All tables, in the order in which they are declared, a table before those inside it."""
    yield dotted(path).replace("[0]", "[]"), section
    for name, field in section.model_fields.items():
        kind, inner = bare(field.annotation), (*path, name)
        if get_origin(kind) in (dict, tuple):
            inner = (*inner, "NAME" if get_origin(kind) is dict else 0)
            kind = bare(get_args(kind)[1 if get_origin(kind) is dict else 0])
        if is_section(kind):
            yield from _sections(inner, kind)


def _section(title: str, section: type[BaseModel]) -> Iterator[str]:
    yield f"### `{title}`" if title else "### Outside of any section"
    yield ""
    yield inspect.getdoc(section) or ""
    yield ""
    fields = {name: field for name, field in section.model_fields.items() if field.description}
    flags = any(_flag(title, name) for name in fields)
    yield "| setting | default | what |" + (" flag |" if flags else "")
    yield "| --- | --- | --- |" + (" --- |" if flags else "")
    for name, field in fields.items():
        cells = [f"`{name}`", _default(field), _what(field)]
        if flags:
            cells.append(_flag(title, name))
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _flag(title: str, name: str) -> str:
    flag = FLAGS.get(f"{title}.{name}" if title else name)
    return f"`{flag}`" if flag else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value: Any = field.get_default(call_default_factory=True)
    kind = bare(field.annotation)
    if kind is ByteSize:
        return ByteSize(value).human_readable().replace(".0", "")
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if value is None or value == "" or (isinstance(value, tuple | dict) and not value):
        return ""
    if isinstance(value, tuple):
        return ", ".join(f"`{one}`" for one in value)
    return f"{value:g}" if isinstance(value, float) else f"`{value}`" if isinstance(value, str) else str(value)


def _what(field: FieldInfo) -> str:
    kind = bare(field.annotation)
    what = field.description or ""
    words = [f"`{word}`" for word in get_args(kind)] if all(isinstance(one, str) for one in get_args(kind)) else []
    if words:
        what += f": {', '.join(words)}" if ":" not in what else f" (one of {', '.join(words)})"
    if kind is float:
        what += " (seconds)"
    if kind is SecretStr:
        what += " (secret)"
    if kind is SecretURL:
        what += " (its password is secret)"
    if kind is Decimal:
        what += " (USD per million tokens)"
    return what


if __name__ == "__main__":
    sys.stdout.write(reference())
