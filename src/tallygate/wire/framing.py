"""Which framing the body of a reply has."""

from tallygate.wire.decoding import framing_for
from tallygate.wire.documents import Document, Sniffed
from tallygate.wire.meter import Framing
from tallygate.wire.sse import EventStream


def framing_of(stream: bool, status: int, content_encoding: str, hide_usage: bool) -> Framing:
    """The framing of a reply; one that reports an error is a document, whatever was asked for."""
    body: Framing = Sniffed(EventStream(hide_usage)) if stream and status < 400 else Document()
    return framing_for(content_encoding, body)
