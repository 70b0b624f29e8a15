"""One HTTP request to one worker's private socket, and what came of it."""

from __future__ import annotations

import asyncio
import time

from oatie_ops.records import dataclass
from oatie_ops.redaction import redact, redact_head

MAX_ANSWER_BYTES = 16 * 1024


@dataclass(frozen=True)
class ProbeResult:
    """``status`` is None where no HTTP answer came; ``error`` then says why in the field's words.

    ``connected`` tells a program that took the connection from one that nobody could reach.
    """

    path: str
    status: int | None
    error: str = ""
    location: str = ""
    body: str = ""
    seconds: float = 0.0
    connected: bool = False

    def ready(self, declared: bool) -> bool:
        """A declared ready path must answer 2xx; without one any answer below 500 counts."""
        if self.status is None:
            return False
        return 200 <= self.status < 300 if declared else self.status < 500


async def probe(port: int, path: str, host: str | None, timeout_seconds: float) -> ProbeResult:
    """GET over HTTP/1.1 without following redirects. Never raises for what the other side does."""
    began = time.monotonic()
    stage = "connecting"

    def failed(error: str) -> ProbeResult:
        seconds = time.monotonic() - began
        return ProbeResult(path, None, error=error, seconds=seconds, connected=writer is not None)

    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(timeout_seconds):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=MAX_ANSWER_BYTES)
            stage = "waiting for the answer"
            writer.write(
                f"GET {path} HTTP/1.1\r\nHost: {host or f'localhost:{port}'}\r\n"
                "User-Agent: oatie-gate\r\nAccept: */*\r\nConnection: close\r\n\r\n".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            status, location = _parse_head(head)
            body = await reader.read(MAX_ANSWER_BYTES) if status >= 300 else b""
    except TimeoutError:
        return failed(f"timed out after {timeout_seconds:.3g} s ({stage})")
    except ConnectionRefusedError:
        return failed("connection refused")
    except asyncio.IncompleteReadError as error:
        return failed(
            "closed the connection without an answer" if not error.partial else "cut its answer short"
        )
    except (OSError, ValueError, asyncio.LimitOverrunError) as error:
        return failed(f"{type(error).__name__}: {error}")
    finally:
        if writer is not None:
            writer.close()
    excerpt = " ".join(redact_head(body).decode(errors="replace").split())[:200]
    seconds = time.monotonic() - began
    return ProbeResult(path, status, location=redact(location), body=excerpt, seconds=seconds, connected=True)


def _parse_head(head: bytes) -> tuple[int, str]:
    first, *fields = head.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    if not version.startswith("HTTP/"):
        raise ValueError(f"the answer is not HTTP: {redact(first)[:60]!r}")
    location = next((f.partition(":")[2].strip() for f in fields if f.lower().startswith("location:")), "")
    return int(rest[:3]), location
