"""A client that shows exactly what arrives: no HTTP library in between."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from tallygate.simulator import Simulator

PATHS = {
    "openai_chat": "/v1/chat/completions",
    "openai_completions": "/v1/completions",
    "openai_responses": "/v1/responses",
    "openai_embeddings": "/v1/embeddings",
    "anthropic_messages": "/v1/messages",
}
GENERATING = ("openai_chat", "openai_completions", "openai_responses", "anthropic_messages", "gemini_generate")


@dataclass
class Raw:
    """What arrived before the end."""

    reads: list[bytes] = field(default_factory=list)
    """One item a read."""
    reset: bool = False
    """Whether it ended with RST rather than FIN."""
    ended: bool = True
    """False when the connection was still open when we stopped waiting."""

    @property
    def data(self) -> bytes:
        """All bytes."""
        return b"".join(self.reads)

    @property
    def head(self) -> bytes:
        """Status line and headers."""
        return self.data.partition(b"\r\n\r\n")[0]

    @property
    def status(self) -> int:
        """The status."""
        return int(self.head.split(b" ", 2)[1])

    @property
    def headers(self) -> dict[str, str]:
        """The headers, names in lower case."""
        lines = self.head.decode().split("\r\n")[1:]
        return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}

    @property
    def after_head(self) -> bytes:
        """The body with its framing."""
        return self.data.partition(b"\r\n\r\n")[2]

    @property
    def chunks(self) -> list[bytes]:
        """The chunks of a chunked body; raises ValueError when the framing is cut."""
        rest = self.after_head
        chunks: list[bytes] = []
        while True:
            size, separator, rest = rest.partition(b"\r\n")
            length = int(size, 16)
            if not separator or rest[length : length + 2] != b"\r\n":
                raise ValueError(f"framing cut within {size!r}")
            if length == 0:
                return chunks
            chunks.append(rest[:length])
            rest = rest[length + 2 :]

    @property
    def body(self) -> bytes:
        """The body without its framing."""
        if "content-length" in self.headers:
            assert len(self.after_head) == int(self.headers["content-length"])
            return self.after_head
        return b"".join(self.chunks)


def request_of(
    api: str, model: str, *, stream: bool = False, limit: int = 8, path: str = "", extra: dict[str, Any] | None = None
) -> tuple[str, dict[str, Any]]:
    """Target and body of a small request: 7 prompt tokens."""
    prompt = "How many tokens are these?"
    if api == "gemini_generate":
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        body: dict[str, Any] = {
            "contents": [{"parts": [{"text": prompt}]}],
            "generationConfig": {"maxOutputTokens": limit},
        }
        return path or f"/v1beta/models/{model}:{method}", body | (extra or {})
    body = {"model": model}
    if stream:
        body["stream"] = True
        if api in ("openai_chat", "openai_completions"):
            body["stream_options"] = {"include_usage": True}
    match api:
        case "openai_responses":
            body |= {"input": prompt, "max_output_tokens": limit}
        case "openai_completions":
            body |= {"prompt": prompt, "max_tokens": limit}
        case "openai_embeddings":
            body |= {"input": prompt}
        case _:
            body |= {"messages": [{"role": "user", "content": prompt}], "max_tokens": limit}
    return path or PATHS[api], body | (extra or {})


def request_bytes(target: str, body: dict[str, Any], *headers: str, version: str = "1.1") -> bytes:
    """An HTTP request."""
    data = json.dumps(body).encode()
    lines = [f"POST {target} HTTP/{version}", "host: simulator", f"content-length: {len(data)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + data


async def exchange(provider: Simulator, data: bytes, *, size: int = 1 << 20, until: bytes | None = None) -> Raw:
    """Send bytes and read until the connection ends, or until ``until`` has arrived: then we leave."""
    reader, writer = await asyncio.open_connection("127.0.0.1", provider.port)
    raw = Raw()
    try:
        writer.write(data)
        while True:
            part = await reader.read(size)
            if not part:
                return raw
            raw.reads.append(part)
            if until is not None and until in raw.data:
                raw.ended = False
                return raw
    except ConnectionResetError:
        raw.reset = True
        return raw
    finally:
        writer.transport.abort()


async def ask(
    provider: Simulator, api: str, model: str, *, stream: bool = False, until: bytes | None = None, **more: Any
) -> Raw:
    """A small request on a connection of its own, closed by the simulator."""
    target, body = request_of(api, model, stream=stream, **more)
    return await exchange(provider, request_bytes(target, body, "connection: close"), until=until)


def only_call(provider: Simulator) -> dict[str, Any]:
    """The one group of calls served."""
    (call,) = provider.served()["calls"]
    return dict(call)
