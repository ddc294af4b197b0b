"""The gateway's own command, with a defect: a request for the model ``crash`` raises, and says all it knows.

Run as a program in place of ``python -m tallygate.cli``.
"""

from typing import Any

from tallygate.cli import main
from tallygate.gateway.upstream.client import HttpUpstream

_send = HttpUpstream.send


async def _crash(self: HttpUpstream, method: str, url: str, headers: Any, body: bytes, timeouts: Any) -> Any:
    if b'"crash"' in body:
        told = {name.decode(): value.decode("latin-1") for name, value in headers}
        raise RuntimeError(f"a defect while asking {url} with {told} and {headers!r}")
    return await _send(self, method, url, headers, body, timeouts)


if __name__ == "__main__":
    HttpUpstream.send = _crash  # type: ignore[method-assign]  # the defect
    main()
