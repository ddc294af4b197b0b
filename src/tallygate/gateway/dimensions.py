"""Label values from request headers: only those that the configuration names."""

from collections.abc import Mapping

from tallygate.gateway.settings import DimensionSettings

UNLISTED = "other"
"""What a value outside the configured list becomes: clients never mint label values."""


class HeaderDimensions:
    """Reads the configured dimensions (route, agent_id, source, custom labels ...) from headers."""

    def __init__(self, dimensions: Mapping[str, DimensionSettings]) -> None:
        self._readers = [
            (name, setting.header.lower().encode(), {value.encode(): value for value in setting.values})
            for name, setting in dimensions.items()
        ]

    def read(self, headers: Mapping[bytes, bytes]) -> dict[str, str]:
        """The dimensions this request sets; a dimension whose header is absent is left out."""
        found: dict[str, str] = {}
        for name, header, values in self._readers:
            value = headers.get(header)
            if value is not None:
                found[name] = values.get(value, UNLISTED)
        return found
