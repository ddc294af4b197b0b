"""Providers that need no file: a key in the environment, or an address, is enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tallygate.gateway.settings.models import BASE_URLS


@dataclass(frozen=True, slots=True)
class Vendor:
    """A provider that is known by name, and the environment variables that people already set for it."""

    name: str
    kind: str
    base_url: str
    """'' when every user has another one."""
    keys: tuple[str, ...]
    """Variables with its key; the first that is set counts."""
    addresses: tuple[str, ...] = ()
    """Variables with its address; the first that is set counts."""
    versions: tuple[str, ...] = ()
    """Variables with Azure's api-version."""


VENDORS: Mapping[str, Vendor] = {
    vendor.name: vendor
    for vendor in (
        Vendor("openai", "openai", "https://api.openai.com/v1", ("OPENAI_API_KEY",), ("OPENAI_BASE_URL",)),
        Vendor("anthropic", "anthropic", BASE_URLS["anthropic"], ("ANTHROPIC_API_KEY",), ("ANTHROPIC_BASE_URL",)),
        Vendor(
            "gemini",
            "gemini",
            BASE_URLS["gemini"],
            ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
            ("GEMINI_BASE_URL", "GOOGLE_GEMINI_BASE_URL"),
        ),
        Vendor(
            "azure",
            "azure",
            "",
            ("AZURE_OPENAI_API_KEY",),
            ("AZURE_OPENAI_ENDPOINT",),
            ("AZURE_OPENAI_API_VERSION", "OPENAI_API_VERSION"),
        ),
        Vendor(
            "openrouter", "openai", "https://openrouter.ai/api/v1", ("OPENROUTER_API_KEY",), ("OPENROUTER_BASE_URL",)
        ),
        Vendor("groq", "openai", "https://api.groq.com/openai/v1", ("GROQ_API_KEY",)),
        Vendor("mistral", "openai", "https://api.mistral.ai/v1", ("MISTRAL_API_KEY",)),
        Vendor("together", "openai", "https://api.together.xyz/v1", ("TOGETHER_API_KEY",)),
        Vendor("deepseek", "openai", "https://api.deepseek.com/v1", ("DEEPSEEK_API_KEY",)),
        Vendor("xai", "openai", "https://api.x.ai/v1", ("XAI_API_KEY",)),
        Vendor("fireworks", "openai", "https://api.fireworks.ai/inference/v1", ("FIREWORKS_API_KEY",)),
        Vendor("cerebras", "openai", "https://api.cerebras.ai/v1", ("CEREBRAS_API_KEY",)),
        Vendor("ollama", "openai", "", (), ("OLLAMA_BASE_URL",)),
        Vendor("vllm", "openai", "", ("VLLM_API_KEY",), ("VLLM_BASE_URL",)),
    )
}
