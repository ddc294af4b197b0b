"""What a browser loads once: the page's own files and the chart library, under addresses that change with them."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Final

TYPES: Final = {
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
    ".html": b"text/html; charset=utf-8",
}
CHARTS: Final = "plotly.min.js"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent."""

    media: bytes
    zipped: bytes
    """With gzip; whoever does not take that gets it unpacked."""

    def plain(self) -> bytes:
        return gzip.decompress(self.zipped)


def takes_gzip(accepted: bytes) -> bool:
    """Whether an Accept-Encoding header names gzip, and not to refuse it."""
    for coding in accepted.lower().replace(b" ", b"").split(b","):
        name, _, quality = coding.partition(b";")
        if name == b"gzip":
            return not quality.startswith(b"q=0") or bool(quality.strip(b"q=0."))
    return False


def _asset(name: str, content: bytes) -> Asset:
    return Asset(TYPES[name[name.rindex(".") :]], gzip.compress(content, 6, mtime=0))


class Assets:
    """The files of the page, read and compressed once. To make it takes some tenths of a second: in a thread."""

    def __init__(self) -> None:
        room = files(f"{__package__}.client")
        own = {
            path.name: path.read_bytes()
            for path in room.iterdir()
            if path.is_file() and "." in path.name and path.name[path.name.rindex(".") :] in TYPES
        }
        charts = _charts()
        self._html = {name: content.decode() for name, content in own.items() if name.endswith(".html")}
        scripts = {name: content for name, content in own.items() if not name.endswith(".html")}
        self.folder = _digest(*[name.encode() + b"\0" + scripts[name] for name in sorted(scripts)])
        self.charts = f"{_digest(charts)}/{CHARTS}"
        self._assets = {f"{self.folder}/{name}": _asset(name, content) for name, content in scripts.items()}
        self._assets[self.charts] = _asset(CHARTS, charts)

    def find(self, name: str) -> Asset | None:
        """What is at FOLDER/NAME; None when nothing is."""
        return self._assets.get(name)

    def html(self, name: str, path: str, message: str = "") -> bytes:
        """A page for the gateway's ``path``, filled in."""
        filled = self._html[name]
        values = {
            "path": path,
            "assets": f"{path}/assets/{self.folder}",
            "charts": f"{path}/assets/{self.charts}",
            "message": message,
        }
        for key, value in values.items():
            filled = filled.replace("{{" + key + "}}", escape(value))
        return filled.encode()


def _charts() -> bytes:
    """The chart library, from the installed package, which is not imported for it."""
    spec = find_spec("plotly")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            "the live page draws with plotly, which is not installed: pip install tallygate[gateway]"
        )
    return Path(spec.submodule_search_locations[0], "package_data", CHARTS).read_bytes()


def _digest(*contents: bytes) -> str:
    digest = hashlib.sha256()
    for content in contents:
        digest.update(content)
    return digest.hexdigest()[:16]


@cache
def assets() -> Assets:
    """Those of the installed packages."""
    return Assets()
