"""Every wire format by name. Needs msgspec; the parts beside it that read no bytes (tokens, errors) do not."""

from collections.abc import Mapping

from tallygate.wire.anthropic_messages import ANTHROPIC_MESSAGES
from tallygate.wire.gemini_generate import GeminiGenerate
from tallygate.wire.interface import Wire
from tallygate.wire.openai_chat import OpenAIChat
from tallygate.wire.openai_completions import OpenAICompletions
from tallygate.wire.openai_embeddings import OPENAI_EMBEDDINGS
from tallygate.wire.openai_responses import OPENAI_RESPONSES

_ALL: tuple[Wire, ...] = (
    OpenAIChat(),
    OpenAICompletions(),
    OPENAI_RESPONSES,
    OPENAI_EMBEDDINGS,
    ANTHROPIC_MESSAGES,
    GeminiGenerate(),
)

WIRES: Mapping[str, Wire] = {wire.name: wire for wire in _ALL}
