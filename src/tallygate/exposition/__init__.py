"""From metric families to bytes on a wire: rendering, negotiation, an ASGI application and a listener."""
