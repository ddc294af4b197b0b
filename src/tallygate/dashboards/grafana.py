"""Grafana's HTTP API, as far as installing dashboards needs it. A refusal is said in words that name the mend."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlsplit

SECONDS = 30.0
"""For one request."""
LARGEST_REPLY = 32 * 1024 * 1024
"""Bytes; a dashboard is far smaller."""


class GrafanaError(Exception):
    """Why Grafana did not do it, in one line. ``status``: its HTTP status, 0 when there was none."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Folder:
    """Where dashboards are kept."""

    uid: str
    title: str


@dataclass(frozen=True)
class Stored:
    """A dashboard as Grafana has it."""

    model: dict[str, Any]
    folder: str
    """uid; '' is the top."""


@dataclass(frozen=True)
class Saved:
    """What Grafana says of a dashboard that it took."""

    uid: str
    version: int
    """1 is a new one."""
    path: str


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is told, not followed: it would carry the credentials elsewhere, and turn POST into GET."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        return None


@dataclass(frozen=True)
class Grafana:
    """A Grafana at an address, asked with these credentials. Raises GrafanaError when it does not do what it is asked.

    url: http or https, with a path when Grafana is served under one; no slash at its end.
    authorization: the header's value: ``bearer()`` or ``basic()``.
    ca_file: certificates of the authorities to trust, instead of the system's.
    """

    url: str
    authorization: str = field(repr=False)
    ca_file: Path | None = None

    def version(self) -> str:
        """Which Grafana answers; '' when it keeps that to itself."""
        status, document = self._ask("GET", "/api/health", authorized=False)
        if status not in (200, 503) or "database" not in document:
            raise self._not_grafana(f"{status} for /api/health")
        if document["database"] != "ok":
            raise GrafanaError(
                f"{self.url}: Grafana's own database is {document['database']}; see Grafana's log", status
            )
        return str(document.get("version", ""))

    def folder(self, uid: str) -> Folder | None:
        """The folder, None when there is none that these credentials may read."""
        status, document = self._ask("GET", f"/api/folders/{quote(uid, safe='')}")
        # An editor's token may not read what it did not make: a folder that is not there is a 403 to it.
        if status in (403, 404):
            return None
        self._succeeded(status, document)
        return Folder(str(document["uid"]), str(document["title"]))

    def make_folder(self, uid: str, title: str) -> None:
        """Make a folder; nothing when there is one with this uid that cannot be read."""
        status, document = self._ask("POST", "/api/folders", {"uid": uid, "title": title})
        if status in (409, 412) and "name" not in _message(document):
            return
        self._succeeded(status, document)

    def dashboard(self, uid: str) -> Stored | None:
        """The dashboard, None when there is none that these credentials may read."""
        status, document = self._ask("GET", f"/api/dashboards/uid/{quote(uid, safe='')}")
        if status in (403, 404):
            return None
        self._succeeded(status, document)
        try:
            return Stored(dict(document["dashboard"]), str(document["meta"].get("folderUid") or ""))
        except (KeyError, TypeError, AttributeError):
            raise self._not_grafana("a dashboard without its model") from None

    def save(self, model: Mapping[str, Any], folder: str, message: str) -> Saved:
        """Make a dashboard, or put it in the place of the one that has its uid."""
        body = {"dashboard": {**model, "id": None}, "folderUid": folder, "overwrite": True, "message": message}
        status, document = self._ask("POST", "/api/dashboards/db", body)
        self._succeeded(status, document)
        try:
            return Saved(str(document["uid"]), int(document["version"]), str(document["url"]))
        except (KeyError, TypeError, ValueError):
            raise self._not_grafana("a reply without uid, version and url") from None

    def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, authorized: bool = True
    ) -> tuple[int, dict[str, Any]]:
        """Status and document of a reply. Raises GrafanaError where there is none, or none of Grafana."""
        headers = {"Accept": "application/json", "User-Agent": "tallygate"}
        if authorized:
            headers["Authorization"] = self.authorization
        if body is not None:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(
            self.url + path, None if body is None else json.dumps(body).encode(), headers, method=method
        )
        try:
            status, content = self._exchange(request, path)
        except (OSError, http.client.HTTPException) as error:
            raise GrafanaError(self._unreachable(error)) from error
        try:
            document = json.loads(content)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise self._not_grafana(f"{status} for {path}")
        return status, document

    def _exchange(self, request: urllib.request.Request, path: str) -> tuple[int, bytes]:
        try:
            with self._opener().open(request, timeout=SECONDS) as reply:
                return reply.status, reply.read(LARGEST_REPLY)
        except urllib.error.HTTPError as error:
            with error:
                if 300 <= error.code < 400:
                    raise self._elsewhere(error, path) from None
                return error.code, error.read(LARGEST_REPLY)

    def _opener(self) -> urllib.request.OpenerDirector:
        handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
        if self.url.startswith("https:"):
            try:
                context = ssl.create_default_context(cafile=self.ca_file)
            except (OSError, ssl.SSLError) as error:
                reason = "holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
                raise GrafanaError(f"--ca-file {self.ca_file}: {reason}; name a PEM file of authorities") from error
            handlers.append(urllib.request.HTTPSHandler(context=context))
        return urllib.request.build_opener(*handlers)

    def _succeeded(self, status: int, document: dict[str, Any]) -> None:
        if status >= 300:
            raise GrafanaError(self._refusal(status, document), status)

    def _refusal(self, status: int, document: dict[str, Any]) -> str:
        said = f"{status} {_message(document)}"
        if status == 401:
            return f"{said}: Grafana at {self.url} does not know these credentials; make a token of a service account"
        if status == 403:
            return f"{said}: the service account or user needs the role Editor"
        if status == 404:
            return f"{said}: {self.url} has no such API; give Grafana's address, with the path it is served under"
        if status == 409:
            return f"{said}: name that folder with --folder-uid, or give another title with --folder"
        if status == 412:
            # Overwriting settles versions; what is left is a title or a plugin in the way.
            return f"{said} ({document.get('status', 'precondition failed')}): rename or remove what is in the way"
        if "rovisioned" in said:
            return f"{said}: it comes from a file; change the files there, see tallygate dashboards export"
        return said

    def _not_grafana(self, what: str) -> GrafanaError:
        return GrafanaError(
            f"{self.url}: this is not Grafana ({what}); give its address, with the path it is served under"
        )

    def _elsewhere(self, error: urllib.error.HTTPError, path: str) -> GrafanaError:
        target = error.headers.get("Location", "")
        address = urlsplit(target)
        if address.netloc and address.path.endswith(path):
            target = f"{address.scheme}://{address.netloc}{address.path.removesuffix(path)}"
        return GrafanaError(f"{self.url}: redirects to {target} ({error.code}); give that address if it is Grafana's")

    def _unreachable(self, error: OSError | http.client.HTTPException) -> str:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(reason, ssl.SSLCertVerificationError):
            return (
                f"{self.url}: its certificate is not trusted ({reason.verify_message}); "
                "name its authority with --ca-file"
            )
        if isinstance(reason, ssl.SSLError):
            return f"{self.url}: no TLS there ({reason.reason or reason}); is it http:// ?"
        if isinstance(reason, TimeoutError):
            return f"{self.url}: no answer within {SECONDS:g} s"
        if isinstance(reason, socket.gaierror):
            return f"{self.url}: the name is not known ({reason.strerror}); is it spelled right?"
        if isinstance(reason, ConnectionRefusedError):
            return f"{self.url}: nothing listens there (connection refused); is Grafana running?"
        if isinstance(reason, http.client.HTTPException | ConnectionError):
            return f"{self.url}: does not answer in HTTP ({type(reason).__name__}); is it https:// ?"
        return f"{self.url}: cannot be reached ({reason})"


def bearer(token: str) -> str:
    """The authorization of a service account."""
    return f"Bearer {token}"


def basic(user: str, password: str) -> str:
    """The authorization of a user."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _message(document: dict[str, Any]) -> str:
    """What Grafana says, in one line of at most 300 characters."""
    return " ".join(str(document.get("message") or "no reason given").split())[:300]
