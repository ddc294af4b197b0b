"""Who serves an API, by the host it is at."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

HOSTS: Final[Mapping[str, str]] = {
    "api.anthropic.com": "anthropic",
    "api.cerebras.ai": "cerebras",
    "api.cohere.ai": "cohere",
    "api.cohere.com": "cohere",
    "api.deepseek.com": "deepseek",
    "api.fireworks.ai": "fireworks",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral",
    "api.moonshot.ai": "moonshotai",
    "api.moonshot.cn": "moonshotai",
    "api.openai.com": "openai",
    "api.perplexity.ai": "perplexity",
    "api.together.ai": "together",
    "api.together.xyz": "together",
    "api.x.ai": "xai",
    "api.z.ai": "zai",
    "cognitiveservices.azure.com": "azure",
    "generativelanguage.googleapis.com": "gemini",
    "openai.azure.com": "azure",
    "openrouter.ai": "openrouter",
    "services.ai.azure.com": "azure",
}
"""Who serves at these hosts and those below them."""


@lru_cache(256)
def provider_at(host: str, otherwise: str) -> str:
    """Who serves at this host, as a label; ``otherwise`` where nobody known does: the one whose API it is."""
    known = host.lower()
    if known.startswith("bedrock") and (".amazonaws." in known or known.endswith(".api.aws")):
        return "bedrock"
    while known not in HOSTS and "." in known:
        known = known.partition(".")[2]
    return HOSTS.get(known, otherwise)
