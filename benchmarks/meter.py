"""What reading a reply on the side costs per chunk, for each wire format, against decoding the chunk's JSON whole.

Run: python -m benchmarks.meter
"""

import json

import msgspec

from benchmarks.harness import Operation, machine, nanoseconds, print_table, time_operations
from tallygate.wire.formats import WIRES

CHAT = (
    b'data: {"id":"chatcmpl-9czLmTqXJp4vB2","object":"chat.completion.chunk","created":1750000000,'
    b'"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_34a54ae93c",'
    b'"choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}],"usage":null}\n\n'
)
CHUNKS: dict[str, tuple[str, bytes]] = {
    "chat": ("openai_chat", CHAT),
    "completions": (
        "openai_completions",
        b'data: {"id":"cmpl-9czLmTqXJp4vB2","object":"text_completion","created":1750000000,'
        b'"model":"gpt-3.5-turbo-instruct",'
        b'"choices":[{"text":" word","index":0,"logprobs":null,"finish_reason":null}]}\n\n',
    ),
    "responses": (
        "openai_responses",
        b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":17,'
        b'"item_id":"msg_68a1c0d1e2f3a4b5c6d7e8f9",'
        b'"output_index":0,"content_index":0,"delta":" word","logprobs":[]}\n\n',
    ),
    "messages": (
        "anthropic_messages",
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":" a few words"}}\n\n',
    ),
    "gemini": (
        "gemini_generate",
        b'data: {"candidates": [{"content": {"parts": [{"text": "a dozen words"}],"role": "model"},"index": 0}],'
        b'"usageMetadata": {"promptTokenCount": 10,"candidatesTokenCount": 4,"totalTokenCount": 14},'
        b'"modelVersion": "gemini-2.5-flash","responseId": "mAitaLmkHPPlz7IP"}\n\n',
    ),
}


def operations() -> list[Operation]:
    """One piece fed, in each format; chat also hidden, compressed together, cut in two and twenty at once."""
    found = []
    for name, (wire, chunk) in CHUNKS.items():
        meter = WIRES[wire].meter(stream=True, status=200, content_encoding="", hide_usage=False)
        found.append(Operation(name, "feed(chunk)", {"feed": meter.feed, "chunk": chunk}))
        data = chunk[chunk.index(b"data: ") + 6 :]
        found.append(Operation(f"{name}, json.loads", "loads(data)", {"loads": json.loads, "data": data}))
    chat = WIRES["openai_chat"]
    hiding = chat.meter(stream=True, status=200, content_encoding="", hide_usage=True)
    found.append(Operation("chat, hiding usage", "feed(chunk)", {"feed": hiding.feed, "chunk": CHAT}))
    found.append(Operation("chat, 20 chunks at once", "feed(chunk)", {"feed": hiding.feed, "chunk": CHAT * 20}))
    cut = chat.meter(stream=True, status=200, content_encoding="", hide_usage=True)
    names = {"feed": cut.feed, "first": CHAT[:150], "second": CHAT[150:]}
    found.append(Operation("chat, cut in two", "feed(first); feed(second)", names))
    body = msgspec.json.encode({"model": "alias", "stream": True, "messages": [{"content": "a few words " * 3400}]})
    found.append(Operation("read a 40 kB request", "read(body, '', False)", {"read": chat.read_head, "body": body}))
    rewrite = "rewrite(body, model='gpt-4o', ask_usage=True)"
    found.append(Operation("rewrite a 40 kB request", rewrite, {"rewrite": chat.rewrite, "body": body}))
    return found


def main() -> None:
    """Print the table."""
    print(machine())
    times = time_operations(operations())
    print_table(["operation", "time"], [[name, nanoseconds(seconds)] for name, seconds in times.items()])


if __name__ == "__main__":
    main()
