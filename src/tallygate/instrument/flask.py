"""HTTP requests that a Flask application serves."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from tallygate.instrument.patching import Instrumentation, NotInstrumentable
from tallygate.instrument.support.route_templates import UNMATCHED
from tallygate.instrument.wsgi import wsgi

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from flask import Flask

    from tallygate.record.recorder import Recorder

ROUTE: Final = "tallygate.route"
"""Where the rule stands in the environment, once Flask has found it."""


def flask(app: Flask, *, exclude: Collection[str] = (), tally: Recorder | None = None) -> Instrumentation:
    """Record the requests of a Flask application, by the rule of its URL map: ``/users/<int:id>``.

    exclude and what is recorded: see ``WSGIMiddleware``. Raises NotInstrumentable.
    """
    from flask import Flask, request, request_started

    if not isinstance(app, Flask):
        raise NotInstrumentable(f"instrument.flask() takes a Flask application, not {type(app).__name__}")

    def note_the_rule(sender: Flask, **more: object) -> None:
        if request.url_rule is not None:
            request.environ[ROUTE] = request.url_rule.rule

    request_started.connect(note_the_rule, app, weak=False)
    handle = wsgi(app, route=_rule, exclude=exclude, tally=tally)
    handle.finally_do(lambda: request_started.disconnect(note_the_rule, app))
    return handle


def _rule(environ: WSGIEnvironment) -> str:
    return str(environ.get(ROUTE, UNMATCHED))
