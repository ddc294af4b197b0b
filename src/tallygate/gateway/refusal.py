"""The gateway's own no: a request that is answered without asking a provider."""

from collections.abc import Sequence

from tallygate.errors import ErrorType


class Refusal(Exception):
    """A request the gateway answers itself. The message is shown to the client, so it never holds a secret."""

    def __init__(
        self,
        status: int,
        error_type: ErrorType,
        message: str,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(message)
        self.status, self.error_type, self.message, self.headers = status, error_type, message, headers
