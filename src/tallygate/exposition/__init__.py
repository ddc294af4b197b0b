"""From metric families to bytes on a wire: rendering, negotiation, ASGI and WSGI applications, a listener."""
