"""The compiled renderer: its work is done without the GIL, a family only grows while it is read."""

from __future__ import annotations

from typing import Self, Unpack

from tallygate.exposition import _render
from tallygate.exposition.family import Options, prepare

render = _render.render


class Family(_render.Family):
    """A metric family and where the values of its series come from. Safe to add to while it is rendered."""

    __slots__ = ()

    def __new__(cls, name: str, type: str, help: str, unit: str, **options: Unpack[Options]) -> Self:
        return super().__new__(cls, prepare(name, type, help, unit, **options))
