"""Asking one job: the dialects of several systems have families of the same names."""

import re

from tallygate.dialects import DIALECTS


def samples(dialect: str) -> set[str]:
    """The sample names of a dialect."""
    endings = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("", "_sum", "_count")}
    return {family.name + ending for family in DIALECTS[dialect].families for ending in endings.get(family.kind, ("",))}


def of_job(query: str, job: str) -> str:
    """The query as it stands, asked of one job: Archestra and HyperAgent both have a ``llm_tokens_total``."""
    known = samples(job)

    def told(match: re.Match[str]) -> str:
        name, brace = match[1], match[2]
        if name not in known:
            return match[0]
        return f'{name}{{job="{job}",' if brace else f'{name}{{job="{job}"}}'

    return re.sub(r"\b([a-z_0-9]+)\b(\{)?", told, query)
