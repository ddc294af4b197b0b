"""Grafana's HTTP API on a socket, as far as installing dashboards asks it: statuses, bodies, rules of Grafana 11.6.

Where older or newer ones differ there is a switch. Grafana itself is in no package that the tests could install.
"""

from __future__ import annotations

import base64
import json
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

ROLES = ("Viewer", "Editor", "Admin")
UID = re.compile(r"[a-zA-Z0-9\-_]*")


class Refused(Exception):
    """A status and its body."""

    def __init__(self, code: int, message: str, /, **more: Any) -> None:
        super().__init__(code, {"message": message, **more})


@dataclass
class Grafana:
    """What it holds, and who may come."""

    tokens: dict[str, str] = field(default_factory=lambda: {"glsa_editor": "Editor", "glsa_viewer": "Viewer"})
    """Of service accounts, to role."""
    users: dict[str, tuple[str, str]] = field(default_factory=lambda: {"admin": ("pass:word", "Admin")})
    """Name to password and role."""
    path: str = ""
    """Served under this, as with root_url and serve_from_sub_path."""
    unique_titles: bool = False
    """As Grafana 10 and older: a title once per folder; overwriting overwrites who has it."""
    folder_exists: int = 409
    """Status of a folder that exists: 412 from Grafana 12."""
    folders: dict[str, str] = field(default_factory=dict)
    """uid to title."""
    private: set[str] = field(default_factory=set)
    """uids of folders that only admins may see."""
    dashboards: dict[str, dict[str, Any]] = field(default_factory=dict)
    """uid to model, with id and version."""
    places: dict[str, str] = field(default_factory=dict)
    """uid of a dashboard to uid of its folder; '' is the top."""
    provisioned: set[str] = field(default_factory=set)
    """uids of dashboards that come from files."""
    asked: list[str] = field(default_factory=list)
    """Method and path of every request."""
    url: str = ""

    def answer(self, method: str, path: str, authorization: str, kind: str, body: bytes) -> tuple[int, Any]:
        """Status and body for a request."""
        self.asked.append(f"{method} {path}")
        if path == "/api/health":
            return 200, {"commit": "d5a9e4e1", "database": "ok", "version": "11.6.0"}
        if not path.startswith("/api/"):
            return 200, "<!DOCTYPE html><title>Grafana</title>"
        try:
            role = self._role(authorization)
            match [method, *map(unquote, path.split("/")[2:])]:
                case ["GET", "folders", uid]:
                    return 200, self._folder(role, uid)
                case ["POST", "folders"]:
                    return 200, self._make_folder(role, _bound(kind, body))
                case ["GET", "dashboards", "uid", uid]:
                    return 200, self._dashboard(role, uid)
                case ["POST", "dashboards", "db"]:
                    return 200, self._save(role, _bound(kind, body))
            raise Refused(404, "Not found")
        except Refused as refused:
            status, document = refused.args
            return status, document

    def _role(self, authorization: str) -> str:
        scheme, _, value = authorization.partition(" ")
        if scheme == "Bearer":
            if value in self.tokens:
                return self.tokens[value]
            raise Refused(401, "Invalid API key", messageId="api-key.invalid", statusCode=401, traceID="")
        if scheme == "Basic":
            user, _, password = base64.b64decode(value).decode().partition(":")
            wanted, role = self.users.get(user, ("", ""))
            if role and password == wanted:
                return role
            raise Refused(
                401, "Invalid username or password", messageId="password-auth.failed", statusCode=401, traceID=""
            )
        raise Refused(401, "Unauthorized", messageId="auth.unauthorized", statusCode=401, traceID="", extra=None)

    def _allow(self, allowed: bool, permissions: str) -> None:
        if not allowed:
            raise Refused(
                403,
                f"You'll need additional permissions to perform this action. Permissions needed: {permissions}",
                accessErrorId="ACE4711471147",
                title="Access denied",
            )

    def _folder(self, role: str, uid: str) -> dict[str, Any]:
        # Only admins may read every folder: for others one that is not there is one they may not read.
        self._allow(role == "Admin" or (uid in self.folders and uid not in self.private), "folders:read")
        if uid not in self.folders:
            raise Refused(404, "folder not found", status="not-found")
        title = self.folders[uid]
        return {
            "id": list(self.folders).index(uid) + 1,
            "uid": uid,
            "orgId": 1,
            "title": title,
            "url": f"{self.path}/dashboards/f/{uid}/{_slug(title)}",
            "hasAcl": False,
            "canSave": role != "Viewer",
            "version": 1,
        }

    def _make_folder(self, role: str, asked: dict[str, Any]) -> dict[str, Any]:
        self._allow(role != "Viewer", "folders:create")
        uid, title = str(asked.get("uid", "")), str(asked.get("title", "")).strip()
        if not title:
            raise Refused(400, "folder title cannot be empty")
        _check_uid(uid)
        if uid in self.folders or uid in self.dashboards:
            raise Refused(self.folder_exists, "a folder/dashboard with the same uid already exists")
        if self.unique_titles and title in self.folders.values():
            raise Refused(409, "a folder or dashboard in the general folder with the same name already exists")
        self.folders[uid] = title
        return self._folder(role, uid)

    def _dashboard(self, role: str, uid: str) -> dict[str, Any]:
        if uid not in self.dashboards:
            raise Refused(404, "Dashboard not found")
        place = self.places[uid]
        if place in self.private and role != "Admin":
            raise Refused(403, "Access denied to this dashboard")
        model = self.dashboards[uid]
        meta = {
            "type": "db",
            "canSave": role != "Viewer",
            "slug": _slug(model["title"]),
            "url": f"{self.path}/d/{uid}/{_slug(model['title'])}",
            "version": model["version"],
            "isFolder": False,
            "folderUid": place,
            "folderTitle": self.folders.get(place, "General"),
            "provisioned": uid in self.provisioned,
        }
        return {"meta": meta, "dashboard": model}

    def _save(self, role: str, asked: dict[str, Any]) -> dict[str, Any]:
        self._allow(role != "Viewer", "any of dashboards:create, dashboards:write")
        model, overwrite, place = (
            dict(asked["dashboard"]),
            bool(asked.get("overwrite")),
            str(asked.get("folderUid", "")),
        )
        title = model["title"] = str(model.get("title", "")).strip()
        if not title:
            raise Refused(400, "Dashboard title cannot be empty", status="empty-name")
        uid = str(model.get("uid") or f"generated{len(self.dashboards)}").strip()
        _check_uid(uid)
        if place and place not in self.folders:
            raise Refused(400, "folder not found")
        if place in self.private and role != "Admin":
            raise Refused(403, "Access denied to save dashboard")
        if model.get("id") and model["id"] not in [each["id"] for each in self.dashboards.values()]:
            raise Refused(404, "Dashboard not found", status="not-found")
        if self.unique_titles:
            uid = self._with_title(title, place, uid, overwrite)
        existing = self.dashboards.get(uid)
        if existing is not None and model.get("version", 0) != existing["version"] and not overwrite:
            raise Refused(412, "The dashboard has been changed by someone else", status="version-mismatch")
        if uid in self.provisioned:
            raise Refused(400, "Cannot save provisioned dashboard")
        model["id"] = existing["id"] if existing else len(self.dashboards) + 100
        model["uid"], model["version"] = uid, existing["version"] + 1 if existing else 1
        self.dashboards[uid], self.places[uid] = model, place
        return {
            "status": "success",
            "slug": _slug(title),
            "version": model["version"],
            "id": model["id"],
            "uid": uid,
            "url": f"{self.path}/d/{uid}/{_slug(title)}",
            "folderUid": place,
        }

    def _with_title(self, title: str, place: str, uid: str, overwrite: bool) -> str:
        for other, model in self.dashboards.items():
            if other != uid and model["title"] == title and self.places[other] == place:
                if not overwrite:
                    raise Refused(
                        412, "A dashboard with the same name in the folder already exists", status="name-exists"
                    )
                return other
        return uid


def _bound(kind: str, body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if kind.partition(";")[0] != "application/json" or not isinstance(document, dict):
        raise Refused(400, "bad request data")
    return document


def _check_uid(uid: str) -> None:
    if not UID.fullmatch(uid):
        raise Refused(400, "uid contains illegal characters")
    if len(uid) > 40:
        raise Refused(400, "uid too long, max 40 characters")


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


@contextmanager
def serving(grafana: Grafana, tls: ssl.SSLContext | None = None) -> Iterator[Grafana]:
    """Serve on a free port of 127.0.0.1; ``url`` says where."""

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = urlsplit(self.path).path
            if not path.startswith(f"{grafana.path}/"):
                # What stands beside Grafana under other paths.
                status, document = 404, "<html>nginx</html>"
            else:
                status, document = grafana.answer(
                    self.command,
                    path.removeprefix(grafana.path),
                    self.headers.get("Authorization", ""),
                    self.headers.get("Content-Type", ""),
                    body,
                )
            html = isinstance(document, str)
            content = document.encode() if html else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html; charset=UTF-8" if html else "application/json; charset=UTF-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _do

        def log_message(self, format: str, *args: Any) -> None:
            """Its log is ``asked``."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    grafana.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}{grafana.path}"
    try:
        yield grafana
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
