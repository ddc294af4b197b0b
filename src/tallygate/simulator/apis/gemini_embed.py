"""POST /v1beta/models/{model}:embedContent and :batchEmbedContents."""

from collections.abc import Iterator, Mapping

from tallygate.simulator.answer import Answer, Ask, tokens_of
from tallygate.simulator.apis.api import JSON, Event, InvalidRequest, encode, limit_field
from tallygate.simulator.apis.gemini import Gemini


class GeminiEmbed(Gemini):
    """Embeddings. As with Google, the reply tells no usage."""

    name = "gemini_embeddings"
    generates = False

    def read(self, body: JSON, model: str, query: Mapping[str, str]) -> Ask:
        """One content, or a batch of requests with one each."""
        batch = query.get("method") == "batchEmbedContents"
        requests = body.get("requests") if batch else [body]
        if not isinstance(requests, list) or not requests:
            raise InvalidRequest("requests: a non-empty array is required", "requests")
        contents = [request.get("content") for request in requests if isinstance(request, dict)]
        if len(contents) != len(requests) or not all(isinstance(content, dict) for content in contents):
            raise InvalidRequest("content: an object is required", "content")
        return Ask(
            model,
            tells_usage=False,
            prompt_tokens=tokens_of(contents),
            # A batch is told from a single content by the count: 0 stands for the single one.
            count=len(requests) if batch else 0,
            dimensions=min(limit_field(requests[0], "outputDimensionality") or 8, 4096),
        )

    def reply(self, answer: Answer, text: str) -> bytes:
        """One embedding, or a list of them."""
        if answer.ask.count == 0:
            return encode({"embedding": {"values": answer.embeddings[0]}})
        return encode({"embeddings": [{"values": vector} for vector in answer.embeddings]})

    def events(self, answer: Answer) -> Iterator[Event]:
        """Embeddings are never streamed."""
        return iter(())
