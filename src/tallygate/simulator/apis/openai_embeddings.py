"""POST /v1/embeddings."""

import base64
import struct
from collections.abc import Iterator, Mapping

from tallygate.simulator.answer import Answer, Ask, tokens_of
from tallygate.simulator.apis.api import JSON, Event, InvalidRequest, encode, limit_field, text_field
from tallygate.simulator.apis.openai import OpenAI


class OpenAIEmbeddings(OpenAI):
    """Embeddings of 8 dimensions, or as many as asked for, as numbers or as base64."""

    name = "openai_embeddings"
    generates = False

    def read(self, body: JSON, model: str, query: Mapping[str, str]) -> Ask:
        """Model, input (text, texts, tokens or lists of tokens), dimensions, encoding."""
        model = model or text_field(body, "model")
        inputs = body.get("input")
        if not isinstance(inputs, str | list) or not inputs:
            raise InvalidRequest("input: a non-empty string or array is required", "input")
        single = isinstance(inputs, str) or isinstance(inputs[0], int)
        return Ask(
            model,
            prompt_tokens=tokens_of(inputs),
            count=1 if single else len(inputs),
            dimensions=min(limit_field(body, "dimensions") or 8, 4096),
            base64=body.get("encoding_format") == "base64",
        )

    def reply(self, answer: Answer, text: str) -> bytes:
        """A list of embeddings."""
        document: JSON = {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": _coded(vector) if answer.ask.base64 else vector}
                for index, vector in enumerate(answer.embeddings)
            ],
            "model": answer.ask.model,
        }
        if answer.reports_usage:
            tokens = answer.usage.input_tokens
            document["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
        return encode(document)

    def events(self, answer: Answer) -> Iterator[Event]:
        """Embeddings are never streamed."""
        return iter(())


def _coded(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
