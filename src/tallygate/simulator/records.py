"""What tests may look at beside the counts: the last request of each API, the last reply of each model."""

import base64
from dataclasses import dataclass
from typing import Any

LARGEST_REPLY = 1_000_000
"""Bytes of the longest body that is kept."""
MOST_REPLIES = 256
"""How many replies are kept; the oldest go first."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came."""

    method: str
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    keep_alive: bool
    chunked: bool
    """Whether the client understands chunked replies: HTTP/1.1."""

    def document(self) -> dict[str, Any]:
        """The answer of ``GET /requests/last``."""
        return {
            "method": self.method,
            "path": self.target.decode("latin-1"),
            "headers": {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self.headers},
            "body": self.body.decode("utf-8", "replace"),
            "body_base64": base64.b64encode(self.body).decode(),
        }


@dataclass(slots=True)
class Reply:
    """A reply's body as sent so far, without HTTP's framing; content coding is not undone."""

    status: int
    body: bytearray | bytes
    complete: bool = True
    """Whether the body was sent to its regular end."""
    dropped: bool = False
    """Whether it grew too large to be kept."""

    def append(self, data: bytes) -> None:
        """More of the body was sent."""
        if self.dropped or len(self.body) + len(data) > LARGEST_REPLY:
            self.body, self.dropped = b"", True
        else:
            self.body += data


class Records:
    """The last requests and replies."""

    def __init__(self) -> None:
        self.requests: dict[str, Request] = {}
        self._replies: dict[tuple[str, str], Reply] = {}

    def keep(self, api: str, model: str, reply: Reply) -> None:
        """This is now the last reply of the model."""
        replies = self._replies
        if len(replies) >= MOST_REPLIES and (api, model) not in replies:
            del replies[next(iter(replies))]
        replies[api, model] = reply

    def reply(self, api: str, model: str) -> dict[str, Any] | None:
        """The answer of ``GET /replies/last``; '' stands for any API."""
        for (kept_api, kept_model), reply in reversed(self._replies.items()):
            if kept_model == model and api in ("", kept_api):
                return {
                    "api": kept_api,
                    "model": kept_model,
                    "status": reply.status,
                    "complete": reply.complete,
                    "dropped": reply.dropped,
                    "body_base64": base64.b64encode(reply.body).decode(),
                }
        return None

    def reset(self) -> None:
        """Forget everything."""
        self.requests.clear()
        self._replies.clear()
