"""POST /v1/completions."""

from collections.abc import Iterator, Mapping

from tallygate.simulator.answer import CREATED, Answer, Ask, tokens_of
from tallygate.simulator.apis.api import JSON, Event, InvalidRequest, encode, limit_field, text_field
from tallygate.simulator.apis.openai import OpenAI, usage_object, wants_usage


class OpenAICompletions(OpenAI):
    """Text completions. They know neither tool calls nor a channel for reasoning: both are plain text here."""

    name = "openai_completions"

    def read(self, body: JSON, model: str, query: Mapping[str, str]) -> Ask:
        """Model, prompt (text, texts, tokens or lists of tokens), stream, limit."""
        model = model or text_field(body, "model")
        prompt = body.get("prompt")
        if not isinstance(prompt, str | list):
            raise InvalidRequest("prompt: a string or an array is required", "prompt")
        return Ask(
            model,
            stream=body.get("stream") is True,
            include_usage=wants_usage(body),
            prompt_tokens=tokens_of(prompt),
            output_limit=limit_field(body, "max_tokens"),
        )

    def reply(self, answer: Answer, text: str) -> bytes:
        """A text_completion."""
        text = "".join(answer.reasoning()) + ("".join(answer.arguments()) if answer.calls_tool else text)
        document = _frame(answer) | {"choices": [_choice(text, _finish(answer))]}
        if answer.reports_usage:
            document["usage"] = usage_object(answer.usage)
        return encode(document)

    def events(self, answer: Answer) -> Iterator[Event]:
        """Deltas, a finish chunk, the usage chunk if asked for, [DONE]."""
        usage = answer.ask.include_usage and answer.reports_usage
        frame = _frame(answer)
        null = {"usage": None} if usage else {}
        for piece in answer.reasoning():
            yield Event(encode(frame | {"choices": [_choice(piece, None)]} | null), content=True)
        for piece in answer.arguments() if answer.calls_tool else answer.pieces():
            yield Event(encode(frame | {"choices": [_choice(piece, None)]} | null), content=True)
        yield Event(encode(frame | {"choices": [_choice("", _finish(answer))]} | null))
        if usage:
            yield Event(encode(frame | {"choices": [], "usage": usage_object(answer.usage)}), usage=answer.usage)
        yield Event(b"[DONE]")


def _frame(answer: Answer) -> JSON:
    return {
        "id": "cmpl-" + answer.digest[:29],
        "object": "text_completion",
        "created": CREATED,
        "model": answer.ask.model,
        "system_fingerprint": "fp_5170a11e57",
    }


def _choice(text: str, finish: str | None) -> JSON:
    return {"text": text, "index": 0, "logprobs": None, "finish_reason": finish}


def _finish(answer: Answer) -> str:
    return "content_filter" if answer.filtered else "stop"
