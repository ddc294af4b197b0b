"""POST /v1/responses."""

from collections.abc import Iterator, Mapping

from tallygate.simulator.answer import CREATED, Answer, Ask, Usage, tokens_of
from tallygate.simulator.apis.api import JSON, Event, InvalidRequest, encode, limit_field, text_field
from tallygate.simulator.apis.openai import OpenAI


class OpenAIResponses(OpenAI):
    """Responses: output items, and a stream of named, numbered events."""

    name = "openai_responses"

    def read(self, body: JSON, model: str, query: Mapping[str, str]) -> Ask:
        """Model, input, instructions, stream, limit, tools."""
        model = model or text_field(body, "model")
        given = body.get("input")
        if not isinstance(given, str | list):
            raise InvalidRequest("input: a string or an array is required", "input")
        return Ask(
            model,
            stream=body.get("stream") is True,
            prompt_tokens=tokens_of(given, body.get("instructions")),
            output_limit=limit_field(body, "max_output_tokens"),
            tool=_tool(body),
        )

    def reply(self, answer: Answer, text: str) -> bytes:
        """A completed response."""
        output = [_reasoning(answer, "".join(answer.reasoning()))] if answer.usage.reasoning_tokens else []
        if answer.calls_tool:
            output.append(_call(answer, "".join(answer.arguments()), "completed"))
        elif text:
            output.append(_message(answer, text, "completed"))
        return encode(_response(answer, _status(answer), output, answer.usage))

    def events(self, answer: Answer) -> Iterator[Event]:
        """From response.created to response.completed, the whole output repeated in the last."""
        for number, (name, fields, usage) in enumerate(_steps(answer)):
            document = {"type": name, "sequence_number": number} | fields
            yield Event(encode(document), name.encode(), usage, content=name in _CONTENT)

    def error_events(self, answer: Answer, sent: int) -> Iterator[Event]:
        """``error``, then ``response.failed``."""
        error = {"code": "server_error", "message": "The server had an error while processing your request."}
        yield Event(encode({"type": "error", "sequence_number": sent} | error | {"param": None}), b"error")
        failed = _response(answer, "failed", [], None) | {"error": error}
        document = {"type": "response.failed", "sequence_number": sent + 1, "response": failed}
        yield Event(encode(document), b"response.failed")


_CONTENT = frozenset(
    (
        "response.output_text.delta",
        "response.reasoning_summary_text.delta",
        "response.function_call_arguments.delta",
    )
)
Step = tuple[str, JSON, Usage | None]


def _steps(answer: Answer) -> Iterator[Step]:
    for name in ("response.created", "response.in_progress"):
        yield name, {"response": _response(answer, "in_progress", [], None)}, None
    output: list[JSON] = []
    if answer.usage.reasoning_tokens:
        yield from _reasoning_steps(answer, output)
    if answer.calls_tool:
        yield from _call_steps(answer, output)
    elif "empty" not in answer.marks:
        yield from _message_steps(answer, output)
    status = _status(answer)
    usage = answer.usage if answer.reports_usage else None
    yield f"response.{status}", {"response": _response(answer, status, output, answer.usage)}, usage


def _reasoning_steps(answer: Answer, output: list[JSON]) -> Iterator[Step]:
    at: JSON = {"output_index": len(output)}
    item_id = _reasoning(answer, "")["id"]
    part = {"item_id": item_id} | at | {"summary_index": 0}
    yield "response.output_item.added", at | {"item": {"id": item_id, "type": "reasoning", "summary": []}}, None
    yield "response.reasoning_summary_part.added", part | {"part": {"type": "summary_text", "text": ""}}, None
    for piece in answer.reasoning():
        yield "response.reasoning_summary_text.delta", part | {"delta": piece}, None
    text = "".join(answer.reasoning())
    yield "response.reasoning_summary_text.done", part | {"text": text}, None
    yield "response.reasoning_summary_part.done", part | {"part": {"type": "summary_text", "text": text}}, None
    output.append(_reasoning(answer, text))
    yield "response.output_item.done", at | {"item": output[-1]}, None


def _call_steps(answer: Answer, output: list[JSON]) -> Iterator[Step]:
    at: JSON = {"output_index": len(output)}
    item = _call(answer, "", "in_progress")
    part = {"item_id": item["id"]} | at
    yield "response.output_item.added", at | {"item": item}, None
    for piece in answer.arguments():
        yield "response.function_call_arguments.delta", part | {"delta": piece}, None
    arguments = "".join(answer.arguments())
    done = part | {"name": answer.ask.tool, "arguments": arguments}
    yield "response.function_call_arguments.done", done, None
    output.append(_call(answer, arguments, "completed"))
    yield "response.output_item.done", at | {"item": output[-1]}, None


def _message_steps(answer: Answer, output: list[JSON]) -> Iterator[Step]:
    at: JSON = {"output_index": len(output)}
    item = _message(answer, "", "in_progress") | {"content": []}
    part = {"item_id": item["id"]} | at | {"content_index": 0}
    yield "response.output_item.added", at | {"item": item}, None
    yield "response.content_part.added", part | {"part": _text("")}, None
    for piece in answer.pieces():
        yield "response.output_text.delta", part | {"delta": piece, "logprobs": []}, None
    text = answer.closing_text()
    yield "response.output_text.done", part | {"text": text, "logprobs": []}, None
    yield "response.content_part.done", part | {"part": _text(text)}, None
    output.append(_message(answer, text, "completed"))
    yield "response.output_item.done", at | {"item": output[-1]}, None


def _response(answer: Answer, status: str, output: list[JSON], usage: Usage | None) -> JSON:
    document: JSON = {
        "id": "resp_" + answer.digest,
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "content_filter"} if status == "incomplete" else None,
        "instructions": None,
        "max_output_tokens": answer.ask.output_limit,
        "model": answer.ask.model,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
    }
    told = answer.reports_usage
    return document | {"usage": _usage(usage) if usage is not None and told else None, "user": None, "metadata": {}}


def _usage(usage: Usage) -> JSON:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def _status(answer: Answer) -> str:
    return "incomplete" if answer.filtered else "completed"


def _text(text: str) -> JSON:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _message(answer: Answer, text: str, status: str) -> JSON:
    return {
        "id": "msg_" + answer.digest,
        "type": "message",
        "status": status,
        "content": [_text(text)],
        "role": "assistant",
    }


def _reasoning(answer: Answer, text: str) -> JSON:
    return {"id": "rs_" + answer.digest, "type": "reasoning", "summary": [{"type": "summary_text", "text": text}]}


def _call(answer: Answer, arguments: str, status: str) -> JSON:
    return {
        "id": "fc_" + answer.digest,
        "type": "function_call",
        "status": status,
        "arguments": arguments,
        "call_id": "call_" + answer.digest[:24],
        "name": answer.ask.tool,
    }


def _tool(body: JSON) -> str:
    match body.get("tools"):
        case [{"name": str(name)}, *_]:
            return name
    return "get_weather"
