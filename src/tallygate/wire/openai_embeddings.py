"""OpenAI embeddings: /v1/embeddings, never streamed. Model, usage and errors are written as in chat completions."""

from tallygate.wire.error_bodies import openai_error
from tallygate.wire.openai_chat import ChatMeter
from tallygate.wire.plain import PlainWire

OPENAI_EMBEDDINGS = PlainWire(
    "openai_embeddings", "embeddings", "openai", "/embeddings", ChatMeter, openai_error, streams=False, writes=False
)
