"""Instrumentations: one file per library that people already run, each as ``instrument.NAME(...)``, each reversible.

    from tallygate import instrument

    instrument.openai(client)            # this client
    handle = instrument.sqlalchemy(engine)
    handle.remove()                      # as it was

Here every name is the function of the file of that name. A file imports its library when it is called, and no sooner:
each needs only its own library to be installed.
"""

from tallygate.instrument.aiohttp import aiohttp
from tallygate.instrument.anthropic import anthropic
from tallygate.instrument.asgi import ASGIMiddleware, asgi
from tallygate.instrument.asyncpg import asyncpg
from tallygate.instrument.cachetools import cachetools
from tallygate.instrument.django import django
from tallygate.instrument.flask import flask
from tallygate.instrument.google_genai import google_genai
from tallygate.instrument.httpx import httpx
from tallygate.instrument.lru_cache import lru_cache
from tallygate.instrument.openai import openai
from tallygate.instrument.patching import Instrumentation, NotInstrumentable
from tallygate.instrument.prometheus_client import prometheus_client
from tallygate.instrument.psycopg import psycopg
from tallygate.instrument.redis import redis, valkey
from tallygate.instrument.runtime import asyncio, gc, process, runtime
from tallygate.instrument.sqlalchemy import sqlalchemy
from tallygate.instrument.wsgi import WSGIMiddleware, wsgi

__all__ = [
    "ASGIMiddleware",
    "Instrumentation",
    "NotInstrumentable",
    "WSGIMiddleware",
    "aiohttp",
    "anthropic",
    "asgi",
    "asyncio",
    "asyncpg",
    "cachetools",
    "django",
    "flask",
    "gc",
    "google_genai",
    "httpx",
    "lru_cache",
    "openai",
    "process",
    "prometheus_client",
    "psycopg",
    "redis",
    "runtime",
    "sqlalchemy",
    "valkey",
    "wsgi",
]
