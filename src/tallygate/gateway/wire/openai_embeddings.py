"""OpenAI embeddings: /v1/embeddings, never streamed."""

from tallygate.errors import ErrorType
from tallygate.gateway.wire.error_bodies import openai_error
from tallygate.gateway.wire.framing import framing_of
from tallygate.gateway.wire.heads import HeadReader, checked_model, splice
from tallygate.gateway.wire.interface import Head
from tallygate.gateway.wire.openai_chat import ChatMeter, Request

_requests = HeadReader(Request, "model")


class OpenAIEmbeddings:
    """Embeddings. The reply's model, usage and errors are written as in chat completions."""

    name = "openai_embeddings"
    operation = "embeddings"
    kind = "openai"
    endpoint = "/embeddings"

    def read_head(self, body: bytes, path_model: str, path_stream: bool) -> Head:
        """As Wire.read_head."""
        return Head(checked_model(_requests.read(body).model))

    def rewrite(self, body: bytes, *, model: str | None, ask_usage: bool) -> bytes:
        """As Wire.rewrite."""
        return body if model is None else splice(body, {"model": model})

    def meter(self, *, stream: bool, status: int, content_encoding: str, hide_usage: bool) -> ChatMeter:
        """As Wire.meter."""
        return ChatMeter(framing_of(False, status, content_encoding, False), status)

    def error_body(self, status: int, error_type: ErrorType, message: str) -> bytes:
        """As Wire.error_body."""
        return openai_error(status, error_type, message)
