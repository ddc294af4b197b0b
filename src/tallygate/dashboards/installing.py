"""Dashboards brought into a Grafana: made, changed, or left as they are. Doing it again changes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tallygate.dashboards.grafana import Folder, Grafana, GrafanaError

FOLDER = Folder("tallygate-dashboards", "Tallygate")
"""Where they go unless told otherwise."""
GRAFANAS_OWN = frozenset(("id", "version"))
"""Fields of a model that Grafana counts by itself."""


class Done(StrEnum):
    """What was done with a dashboard or a file."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    UNCHANGED = "UNCHANGED"
    FAILED = "FAILED"


@dataclass(frozen=True)
class Outcome:
    """How it went for one dashboard. ``detail``: its address, or why it failed."""

    done: Done
    title: str
    detail: str


def folder_titled(title: str) -> Folder:
    """A folder with a uid that is the same each time."""
    if title == FOLDER.title:
        return FOLDER
    return Folder(f"tallygate-{hashlib.sha256(title.encode()).hexdigest()[:16]}", title)


def install(
    grafana: Grafana, models: Iterable[Mapping[str, Any]], folder: Folder, *, dry_run: bool = False
) -> Iterator[Outcome]:
    """Bring dashboards into a folder, which is made when it is not there; tell how each went.

    dry_run: only look.
    Raises GrafanaError when there is no Grafana, or no such folder and it may not be made.
    """
    if grafana.folder(folder.uid) is None and not dry_run:
        grafana.make_folder(folder.uid, folder.title)
    for model in models:
        title = str(model["title"])
        try:
            yield Outcome(*_installed(grafana, model, folder, dry_run))
        except GrafanaError as error:
            yield Outcome(Done.FAILED, title, str(error))


def _installed(grafana: Grafana, model: Mapping[str, Any], folder: Folder, dry_run: bool) -> tuple[Done, str, str]:
    uid, title = str(model["uid"]), str(model["title"])
    address = f"{grafana.url}/d/{uid}"
    stored = grafana.dashboard(uid)
    if stored is not None and stored.folder == folder.uid and _content(stored.model) == _content(model):
        return Done.UNCHANGED, title, address
    if dry_run:
        return (Done.CREATED if stored is None else Done.UPDATED), title, address
    saved = grafana.save(model, folder.uid, "tallygate dashboards install")
    if saved.uid != uid:
        # Grafana 10 and older take a title once per folder, and overwrite who has it.
        raise GrafanaError(
            f"the folder had another dashboard of this title, {saved.uid}, and Grafana put this one in its place; "
            "rename that one and install again"
        )
    # One that may not be read looks as if it were not there: then only its version tells.
    return (Done.CREATED if saved.version == 1 else Done.UPDATED), title, address


def _content(model: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in model.items() if key not in GRAFANAS_OWN}
