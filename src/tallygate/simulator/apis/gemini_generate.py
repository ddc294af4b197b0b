"""POST /v1beta/models/{model}:generateContent and :streamGenerateContent."""

from collections.abc import Iterator, Mapping

import msgspec

from tallygate.simulator.answer import Answer, Ask, Usage, tokens_of
from tallygate.simulator.apis.api import JSON, Event, InvalidRequest, encode, limit_field
from tallygate.simulator.apis.gemini import Gemini


class GeminiGenerate(Gemini):
    """Content generation. The stream is one of events with ``alt=sse``, otherwise a JSON array."""

    name = "gemini_generate"
    generates = True

    def read(self, body: JSON, model: str, query: Mapping[str, str]) -> Ask:
        """Contents, system instruction, limit, tools; whether it streams is in the path."""
        contents = body.get("contents")
        if not isinstance(contents, list) or not contents:
            raise InvalidRequest("contents: a non-empty array is required", "contents")
        config = body.get("generationConfig")
        system = body.get("systemInstruction", body.get("system_instruction"))
        return Ask(
            model,
            stream=bool(query.get("stream")),
            prompt_tokens=tokens_of(contents, system),
            output_limit=limit_field(config, "maxOutputTokens", "max_output_tokens")
            if isinstance(config, dict)
            else None,
            tool=_tool(body),
            event_stream=query.get("alt") == "sse",
        )

    def reply(self, answer: Answer, text: str) -> bytes:
        """A GenerateContentResponse."""
        parts: list[JSON] = []
        if answer.usage.reasoning_tokens:
            parts.append({"text": "".join(answer.reasoning()), "thought": True})
        if answer.calls_tool:
            parts.append(_call(answer))
        elif text:
            parts.append({"text": text})
        return encode(_chunk(answer, parts, answer.usage, _finish(answer)))

    def events(self, answer: Answer) -> Iterator[Event]:
        """A chunk a delta with the usage so far; the last one has the finish reason and all usage."""
        usage = answer.usage
        thoughts = 0
        for piece in answer.reasoning():
            thoughts += 1
            yield _event(answer, [{"text": piece, "thought": True}], thoughts, thoughts, None)
        if answer.calls_tool:
            yield _event(answer, [_call(answer)], usage.output_tokens, thoughts, _finish(answer))
            return
        tokens, waiting = thoughts, ""
        for piece in answer.pieces():
            # One delta is held back, so that the last one can carry the finish reason.
            if waiting:
                tokens = min(tokens + 1, usage.output_tokens)
                yield _event(answer, [{"text": waiting}], tokens, thoughts, None)
            waiting = piece
        yield _event(answer, [{"text": waiting}] if waiting else [], usage.output_tokens, thoughts, _finish(answer))


def _event(answer: Answer, parts: list[JSON], output: int, thoughts: int, finish: str | None) -> Event:
    total = answer.usage
    usage = Usage(total.input_tokens, output, total.cache_read_tokens, 0, thoughts)
    data = encode(_chunk(answer, parts, usage, finish))
    return Event(data, usage=usage if answer.reports_usage else None, content=bool(parts))


def _chunk(answer: Answer, parts: list[JSON], usage: Usage, finish: str | None) -> JSON:
    candidate: JSON = {"content": {"parts": parts, "role": "model"} if parts else {"role": "model"}}
    if finish is not None:
        candidate["finishReason"] = finish
    document: JSON = {"candidates": [candidate | {"index": 0}]}
    if answer.reports_usage:
        document["usageMetadata"] = _usage(usage)
    return document | {"modelVersion": answer.ask.model, "responseId": answer.digest[:22]}


def _usage(usage: Usage) -> JSON:
    document: JSON = {"promptTokenCount": usage.input_tokens}
    # Like protocol buffers' JSON, zeros are left out. Candidates do not include thoughts.
    if usage.output_tokens > usage.reasoning_tokens:
        document["candidatesTokenCount"] = usage.output_tokens - usage.reasoning_tokens
    document["totalTokenCount"] = usage.input_tokens + usage.output_tokens
    document["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": usage.input_tokens}]
    if usage.cache_read_tokens:
        document["cachedContentTokenCount"] = usage.cache_read_tokens
        document["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": usage.cache_read_tokens}]
    if usage.reasoning_tokens:
        document["thoughtsTokenCount"] = usage.reasoning_tokens
    return document


def _call(answer: Answer) -> JSON:
    return {"functionCall": {"name": answer.ask.tool, "args": msgspec.json.decode("".join(answer.arguments()))}}


def _finish(answer: Answer) -> str:
    return "SAFETY" if answer.filtered else "STOP"


def _tool(body: JSON) -> str:
    match body.get("tools"):
        case [{"functionDeclarations": [{"name": str(name)}, *_]}, *_]:
            return name
    return "get_weather"
