"""Wire formats: the APIs that the gateway can read."""

from collections.abc import Mapping

from tallygate.gateway.wire.anthropic_messages import ANTHROPIC_MESSAGES
from tallygate.gateway.wire.gemini_generate import GeminiGenerate
from tallygate.gateway.wire.interface import BadRequest, Failure, Head, Meter, Usage, Wire
from tallygate.gateway.wire.openai_chat import OpenAIChat
from tallygate.gateway.wire.openai_completions import OpenAICompletions
from tallygate.gateway.wire.openai_embeddings import OPENAI_EMBEDDINGS
from tallygate.gateway.wire.openai_responses import OPENAI_RESPONSES

__all__ = ["WIRES", "BadRequest", "Failure", "Head", "Meter", "Usage", "Wire"]

_ALL: tuple[Wire, ...] = (
    OpenAIChat(),
    OpenAICompletions(),
    OPENAI_RESPONSES,
    OPENAI_EMBEDDINGS,
    ANTHROPIC_MESSAGES,
    GeminiGenerate(),
)

WIRES: Mapping[str, Wire] = {wire.name: wire for wire in _ALL}
"""Every wire format by name."""
