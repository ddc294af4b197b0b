"""Settings of the response cache."""

from __future__ import annotations

from typing import Literal

from pydantic import ByteSize, Field

from tallygate.gateway.settings.kinds import Bytes, Seconds, Truth, Words
from tallygate.gateway.settings.section import Section


class CacheSettings(Section):
    """Answers kept for the same request again; used where a route, a key or a header of the request asks for it."""

    store: Literal["memory", "shared"] = Field(
        default="memory", description="in each worker's memory, or in the Redis or Valkey of `shared.url`"
    )
    capacity: Bytes = Field(
        default=ByteSize(100 * 1024 * 1024), description="bytes that it holds, per worker or shared"
    )
    largest_answer: Bytes = Field(
        default=ByteSize(1024 * 1024), description="a larger answer is not kept, nor one larger than `capacity`"
    )
    largest_request: Bytes = Field(
        default=ByteSize(256 * 1024), description="the answer to a larger request is not kept"
    )
    time_to_live_seconds: Seconds = Field(default=3600.0, description="an answer is kept no longer than this")
    time_to_idle_seconds: Seconds | None = Field(
        default=None, description="an answer nobody asks for is kept no longer than this; unset: as its time to live"
    )
    routes: Words = Field(
        default=(), description="paths that use it unless a request says otherwise, as in `/v1/embeddings`"
    )
    by_header: Truth = Field(
        default=True, description="whether a request may ask for it with `X-Tallygate-Cache` where nothing else does"
    )
    scope: Literal["user", "all"] = Field(
        default="user", description="whom an answer is for: the `user` whose key asked for it, or `all`"
    )
    headers: Words = Field(
        default=(),
        description="request headers that make another answer, as in `X-Project`, beside those of OpenAI, Anthropic, "
        "Google and Azure",
    )
