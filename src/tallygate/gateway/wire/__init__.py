"""Wire formats: the APIs that the gateway can read."""

from collections.abc import Mapping

from tallygate.gateway.wire.anthropic_messages import AnthropicMessages
from tallygate.gateway.wire.gemini_generate import GeminiGenerate
from tallygate.gateway.wire.interface import BadRequest, Failure, Head, Meter, Usage, Wire
from tallygate.gateway.wire.openai_chat import OpenAIChat
from tallygate.gateway.wire.openai_completions import OpenAICompletions
from tallygate.gateway.wire.openai_embeddings import OpenAIEmbeddings
from tallygate.gateway.wire.openai_responses import OpenAIResponses

__all__ = ["WIRES", "BadRequest", "Failure", "Head", "Meter", "Usage", "Wire"]

_ALL: tuple[Wire, ...] = (
    OpenAIChat(),
    OpenAICompletions(),
    OpenAIResponses(),
    OpenAIEmbeddings(),
    AnthropicMessages(),
    GeminiGenerate(),
)

WIRES: Mapping[str, Wire] = {wire.name: wire for wire in _ALL}
"""Every wire format by name."""
