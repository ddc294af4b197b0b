"""Custom labels: from the configuration's keys to label names that Prometheus takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from tallygate.declare import Fact
from tallygate.identities import NAMES as IDENTITIES

RESERVED = frozenset({"le", "quantile", "type", "domain"})
"""Label names that families use besides the dimensions of facts."""


class CustomLabelError(ValueError):
    """A custom label that cannot be; says which keys of the configuration are meant."""


def label_name(key: str) -> str:
    """``my-team`` as a label: ``my_team``. Every character that a label cannot have becomes an underscore."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", key)
    return f"_{name}" if name[:1].isdigit() else name


def custom_labels(
    keys: Iterable[str], facts: Iterable[type[Fact]], identities: Sequence[str] = ()
) -> Mapping[str, str]:
    """Label names by key, sorted by name, with those of the identities that are turned on.

    Raises CustomLabelError for keys that collide, shadow a built-in label, or are identities themselves.
    """
    built_in = {dimension.name for fact in facts if fact.takes_custom_labels for dimension in fact.dimensions}
    by_name: dict[str, str] = {}
    for key in dict.fromkeys(keys):
        name = label_name(key)
        if not name or name.startswith("__"):
            raise CustomLabelError(f"custom label {key!r} makes no label name; use letters, digits and hyphens")
        if name in IDENTITIES:
            raise CustomLabelError(
                f"custom label {key!r} is an identity, of which there may be ever so many; "
                f"turn it on as identities = {{{name!r}: 'hashed'}}"
            )
        if name in built_in or name in RESERVED:
            raise CustomLabelError(f"custom label {key!r} would shadow the built-in label {name!r}; rename it")
        if name in by_name:
            raise CustomLabelError(
                f"custom labels {by_name[name]!r} and {key!r} would both be the label {name!r}; rename one"
            )
        by_name[name] = key
    by_name.update(zip(identities, identities, strict=True))
    return {by_name[name]: name for name in sorted(by_name)}
