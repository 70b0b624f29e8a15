"""The same for WSGI servers that oatie did not start: ``app = OatieWsgiMiddleware(app)``.

`oatie start` runs WSGI applications behind `OatieMiddleware` by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from oatie_ops.degradation import reader as readers
from oatie_ops.degradation.reader import Reader
from oatie_ops.degradation.report import report_exception

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


class OatieWsgiMiddleware:
    """As `oatie_ops.degradation.middleware.OatieMiddleware`, of a WSGI application."""

    def __init__(self, app: Application, *, reader: Reader | None = None) -> None:
        self.app = app
        self._reader = reader or readers.current()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        reader = self._reader
        method, path = environ["REQUEST_METHOD"], _path(environ)
        if reader.pulse[0] != reader.calm:
            reader.look()
            answer = reader.answer_to(method, path)
            if answer is not None:
                status, headers, body = answer
                text = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
                start_response(f"{status} {HTTPStatus(status).phrase}", text)
                return [] if method == "HEAD" else [body]
        try:
            return self.app(environ, start_response)
        except Exception as error:
            report_exception(error, {"path": path, "method": method})
            raise


def _path(environ: Environ) -> str:
    """As a route is written: WSGI hands the bytes of a path over as if they were Latin-1 (PEP 3333)."""
    raw = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
    return raw.encode("latin-1", "replace").decode("utf-8", "replace")
