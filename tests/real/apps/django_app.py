"""The smallest Django (WSGI) application; ``VERSION`` beside it is its version."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.urls import path

VERSION = (Path(__file__).resolve().parent / "VERSION").read_text().strip()


def mark(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response["X-Release"] = VERSION
        response["X-Pid"] = str(os.getpid())
        if "X-Load-Id" in request.headers:
            response["X-Load-Id"] = request.headers["X-Load-Id"]
        return response

    return middleware


def index(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"release {VERSION}\n")


def work(request: HttpRequest) -> HttpResponse:
    time.sleep(float(request.GET.get("ms", "10")) / 1000)
    return index(request)


settings.configure(
    DEBUG=False,
    SECRET_KEY="for-tests-only",
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[f"{__name__}.mark"],
)
urlpatterns = [path("", index), path("ready", index), path("work", work)]
django.setup()
application = WSGIHandler()
