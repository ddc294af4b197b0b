"""Which framing the body of a reply has."""

from tallygate.gateway.wire.decoding import framing_for
from tallygate.gateway.wire.documents import Document, Sniffed
from tallygate.gateway.wire.meter import Framing
from tallygate.gateway.wire.sse import EventStream


def framing_of(stream: bool, status: int, content_encoding: str, hide_usage: bool) -> Framing:
    """The framing of a reply; one that reports an error is a document, whatever was asked for."""
    body: Framing = Sniffed(EventStream(hide_usage)) if stream and status < 400 else Document()
    return framing_for(content_encoding, body)
