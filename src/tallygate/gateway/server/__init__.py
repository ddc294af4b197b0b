"""The gateway's server: uvicorn on uvloop and httptools, guarded against abuse, in one process or several."""

from tallygate.gateway.server.body import BodyTimeout, BodyTooLarge, ClientGone, disconnected, read_body
from tallygate.gateway.server.limits import Limits
from tallygate.gateway.server.protocol import CutConnection
from tallygate.gateway.server.run import SideApp, StartError, serve
from tallygate.gateway.server.tls import TLS

__all__ = [
    "TLS",
    "BodyTimeout",
    "BodyTooLarge",
    "ClientGone",
    "CutConnection",
    "Limits",
    "SideApp",
    "StartError",
    "disconnected",
    "read_body",
    "serve",
]
