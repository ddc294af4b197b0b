"""Wire formats: the APIs that can be metered from the bytes that pass by. Knows nothing of gateways or clients."""

from tallygate.wire.interface import BadRequest, Failure, Head, Meter, Usage, Wire

__all__ = ["BadRequest", "Failure", "Head", "Meter", "Usage", "Wire"]
