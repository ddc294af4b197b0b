"""POST /v1/chat/completions."""

from collections.abc import Iterator, Mapping

from tallygate.simulator.answer import CREATED, Answer, Ask, tokens_of
from tallygate.simulator.apis.api import JSON, Event, InvalidRequest, encode, limit_field, text_field
from tallygate.simulator.apis.openai import OpenAI, usage_object, wants_usage

_FINGERPRINT = "fp_5170a11e57"


class OpenAIChat(OpenAI):
    """Chat completions, as OpenAI, Azure and everyone who speaks their form serves them."""

    name = "openai_chat"

    def read(self, body: JSON, model: str, query: Mapping[str, str]) -> Ask:
        """Model, messages, stream, limits, tools."""
        model = model or text_field(body, "model")
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            raise InvalidRequest("messages: a non-empty array is required", "messages")
        return Ask(
            model,
            stream=body.get("stream") is True,
            include_usage=wants_usage(body),
            prompt_tokens=tokens_of(messages),
            output_limit=limit_field(body, "max_completion_tokens", "max_tokens"),
            tool=_tool(body),
        )

    def reply(self, answer: Answer, text: str) -> bytes:
        """A chat.completion."""
        message: JSON = {"role": "assistant", "content": text or None, "refusal": None, "annotations": []}
        if answer.usage.reasoning_tokens:
            message["reasoning_content"] = "".join(answer.reasoning())
        if answer.calls_tool:
            function = {"name": answer.ask.tool, "arguments": "".join(answer.arguments())}
            message |= {
                "content": None,
                "tool_calls": [{"id": _call(answer), "type": "function", "function": function}],
            }
        document: JSON = {
            "id": _id(answer),
            "object": "chat.completion",
            "created": CREATED,
            "model": answer.ask.model,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(answer)}],
        }
        if answer.reports_usage:
            document["usage"] = usage_object(answer.usage)
        return encode(document | {"service_tier": "default", "system_fingerprint": _FINGERPRINT})

    def events(self, answer: Answer) -> Iterator[Event]:
        """Role chunk, deltas, finish chunk, usage chunk if asked for, [DONE]."""
        frame = {
            "id": _id(answer),
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": answer.ask.model,
            "service_tier": "default",
            "system_fingerprint": _FINGERPRINT,
        }
        usage = answer.ask.include_usage and answer.reports_usage
        null = b',"usage":null' if usage else b""
        start = encode(frame)[:-1]
        head, tail = (
            start + b',"choices":[{"index":0,"delta":',
            b',"logprobs":null,"finish_reason":null}]' + null + b"}",
        )
        yield Event(head + encode({"role": "assistant", "content": "", "refusal": None}) + tail)
        for piece in answer.reasoning():
            yield Event(head + encode({"reasoning_content": piece}) + tail, content=True)
        if answer.calls_tool:
            opening: JSON = {"id": _call(answer), "type": "function"}
            for piece in answer.arguments():
                function = {"name": answer.ask.tool, "arguments": piece} if opening else {"arguments": piece}
                yield Event(
                    head + encode({"tool_calls": [{"index": 0} | opening | {"function": function}]}) + tail,
                    content=True,
                )
                opening = {}
        else:
            for piece in answer.pieces():
                yield Event(head + b'{"content":' + encode(piece) + b"}" + tail, content=True)
        yield Event(head + b'{},"logprobs":null,"finish_reason":"' + _finish(answer).encode() + b'"}]' + null + b"}")
        if usage:
            tokens = encode(usage_object(answer.usage))
            yield Event(start + b',"choices":[],"usage":' + tokens + b"}", usage=answer.usage)
        yield Event(b"[DONE]")


def _id(answer: Answer) -> str:
    return "chatcmpl-" + answer.digest[:29]


def _call(answer: Answer) -> str:
    return "call_" + answer.digest[:24]


def _finish(answer: Answer) -> str:
    return "content_filter" if answer.filtered else "tool_calls" if answer.calls_tool else "stop"


def _tool(body: JSON) -> str:
    match body.get("tools"):
        case [{"function": {"name": str(name)}}, *_]:
            return name
    return "get_weather"
