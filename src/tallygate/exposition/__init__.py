"""From metric families to bytes on a wire: rendering, negotiation, an ASGI application, a WSGI application and a listener."""
