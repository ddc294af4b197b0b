"""A small Django project: its settings, views and URLs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import include, path, re_path

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        DEBUG=False,
        LOGGING_CONFIG=None,
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="for tests",
    )

import django  # once there are settings

django.setup()

waiting = asyncio.Event()
"""Set when the view ``waits`` was entered."""


def hello(request: HttpRequest, **given: Any) -> HttpResponse:
    return HttpResponse(b"hello")


async def awake(request: HttpRequest, **given: Any) -> HttpResponse:
    return HttpResponse(b"awake")


def echo(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.body, status=202)


def fails(request: HttpRequest) -> HttpResponse:
    raise ValueError("a defect")


def streams(request: HttpRequest) -> HttpResponse:
    def pieces() -> Iterator[bytes]:
        yield b"abc"
        yield b"de"

    return StreamingHttpResponse(pieces())


async def streams_async(request: HttpRequest) -> HttpResponse:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"abc"
        yield b"de"

    return StreamingHttpResponse(pieces())


async def waits(request: HttpRequest) -> HttpResponse:
    waiting.set()
    await asyncio.Event().wait()
    return HttpResponse(b"never")


def file(request: HttpRequest) -> HttpResponse:
    return FileResponse(open(__file__, "rb"))


urlpatterns = [
    path("", hello),
    path("users/<int:id>/", hello),
    path("awake/<slug:s>", awake),
    path("echo", echo),
    path("fails", fails),
    path("streams", streams),
    path("streams-async", streams_async),
    path("waits", waits),
    path("file", file),
    path("api/<tenant>/", include([re_path(r"^old/(?P<year>[0-9]{4})/$", hello)])),
]
