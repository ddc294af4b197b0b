"""Instrumentations: one file per library that people already run, each as ``instrument.NAME(...)``, each reversible.

    from tallygate import instrument

    instrument.openai(client)            # this client
    handle = instrument.sqlalchemy(engine)
    handle.remove()                      # as it was

Here every name is the function of the file of that name. A file imports its library when it is called, and no sooner:
each needs only its own library to be installed.
"""

from tallygate.instrument.asgi import ASGIMiddleware, asgi
from tallygate.instrument.openai import openai
from tallygate.instrument.patching import Instrumentation, NotInstrumentable
from tallygate.instrument.runtime import asyncio, gc, process, runtime

__all__ = [
    "ASGIMiddleware",
    "Instrumentation",
    "NotInstrumentable",
    "asgi",
    "asyncio",
    "gc",
    "openai",
    "process",
    "runtime",
]
