"""One attempt to deliver one notification. Blocks; imports what it needs when it needs it (memory)."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from oatie_ops.health.alerts import messages

if TYPE_CHECKING:
    import smtplib
    from email.message import EmailMessage

TIMEOUT_SECONDS = 10.0
LOCAL = (None, "localhost", "127.0.0.1", "::1")
COMMAND_TIMEOUT_SECONDS = 30.0
MAX_STDERR_CHARACTERS, MAX_STDERR_BYTES = 300, 16 * 1024
# What a receiver may say about its own state; any other refusal is about the message.
TEMPORARY = frozenset({408, 425, 429})


class NotDelivered(Exception):
    """``final``: it was understood and refused; the same message again would be refused again."""

    def __init__(self, why: str, *, final: bool = False) -> None:
        super().__init__(why)
        self.final = final


def send(alert: Mapping[str, Any], note: Mapping[str, Any], root: Path | None = None) -> None:
    """``alert``: an ``[alerts.NAME]`` table; ``root``: where its command runs. Raises `NotDelivered`."""
    if alert.get("webhook"):
        _webhook(str(alert["webhook"]), str(alert.get("format", "json")), note)
    elif alert.get("command"):
        _command([str(part) for part in alert["command"]], note, root)
    else:
        _mail(
            [str(address) for address in alert["email"]], str(alert.get("smtp") or "smtp://localhost"), note
        )


def _webhook(url: str, form: str, note: Mapping[str, Any]) -> None:
    import http.client
    import urllib.error
    import urllib.request

    body: Any = note
    if form == "slack":
        body = messages.slack(note)
    elif form == "alertmanager":
        body = messages.alertmanager(note)
        if "/api/" not in url:
            url = url.rstrip("/") + "/api/v2/alerts"
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "oatie",
        # A receiver can tell by it that it has this one already.
        "Idempotency-Key": str(note["id"]),
    }
    try:
        request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):
            return
    except urllib.error.HTTPError as error:
        final = 400 <= error.code < 500 and error.code not in TEMPORARY
        error.close()
        raise NotDelivered(f"the receiver answered {error.code}", final=final) from None
    except urllib.error.URLError as error:
        raise NotDelivered(_reason(error.reason)) from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise NotDelivered(_reason(error), final=isinstance(error, ValueError)) from None


def _reason(error: object) -> str:
    """Without the address: it may hold a secret."""
    if isinstance(error, TimeoutError):
        return f"no answer within {TIMEOUT_SECONDS:g} s"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__


def _command(argv: list[str], note: Mapping[str, Any], root: Path | None) -> None:
    """Where oatie.toml is, as the commands of checks: a supervisor in the background is in ``/``."""
    # A file and no pipe: what the command leaves running in the background would hold that open.
    with tempfile.TemporaryFile() as stderr:
        code = _exit_code(argv, json.dumps(note).encode(), root, stderr)
        if code:
            stderr.seek(0)
            said = stderr.read(MAX_STDERR_BYTES).decode(errors="replace").strip()[-MAX_STDERR_CHARACTERS:]
            raise NotDelivered(f"the command exited {code}{f': {said}' if said else ''}")


def _exit_code(argv: list[str], given: bytes, root: Path | None, stderr: IO[bytes]) -> int:
    try:
        process = subprocess.Popen(
            argv,
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
        )
    except OSError as error:
        raise NotDelivered(f"the command cannot be run: {error.strerror}") from None
    with process:
        try:
            process.communicate(given, timeout=COMMAND_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)  # with its children
            raise NotDelivered(f"the command did not end within {COMMAND_TIMEOUT_SECONDS:g} s") from None
    return process.returncode


def _mail(addresses: list[str], url: str, note: Mapping[str, Any]) -> None:
    import smtplib
    from urllib.parse import unquote, urlsplit

    parts = urlsplit(url)
    login = (unquote(parts.username or ""), unquote(parts.password or ""))
    step = "greeting"
    try:
        with _connected(parts.scheme, parts.hostname or "localhost", parts.port) as server:
            if login[1]:
                step = "login"
                _require_privacy(server, parts.hostname)
                server.login(*login)
            step = "message"
            server.send_message(_letter(addresses, login[0], note))
    except smtplib.SMTPRecipientsRefused as error:
        code = min(code for code, _ in error.recipients.values())
        raise NotDelivered(f"the mail server refused every address ({code})", final=code >= 500) from None
    except smtplib.SMTPResponseException as error:
        final = 500 <= error.smtp_code < 600
        raise NotDelivered(f"the mail server refused the {step} ({error.smtp_code})", final=final) from None
    except smtplib.SMTPServerDisconnected as error:
        silent = isinstance(error.__context__, TimeoutError)
        why = _reason(TimeoutError()) if silent else "the mail server hung up"
        raise NotDelivered(f"{why}, at the {step}") from None
    except (OSError, smtplib.SMTPException) as error:
        raise NotDelivered(_reason(error)) from None


def _connected(scheme: str, host: str, port: int | None) -> smtplib.SMTP:
    """With TLS from the start (smtps) or as soon as it is offered."""
    import smtplib
    import ssl

    context = ssl.create_default_context()
    if scheme == "smtps":
        return smtplib.SMTP_SSL(host, port or 465, timeout=TIMEOUT_SECONDS, context=context)
    server = smtplib.SMTP(host, port or 25, timeout=TIMEOUT_SECONDS)
    try:
        server.ehlo()
        if server.has_extn("starttls"):
            server.starttls(context=context)
            server.ehlo()
    except BaseException:
        server.close()
        raise
    return server


def _require_privacy(server: smtplib.SMTP, host: str | None) -> None:
    import ssl

    if not isinstance(server.sock, ssl.SSLSocket) and host not in LOCAL:
        raise NotDelivered("the mail server offers no TLS, and a password is not sent without", final=True)


def _letter(addresses: list[str], user: str, note: Mapping[str, Any]) -> EmailMessage:
    import socket
    from email.message import EmailMessage

    host = socket.gethostname()
    letter = EmailMessage()
    letter["From"] = user if "@" in user else f"oatie@{host}"
    letter["To"] = ", ".join(addresses)
    letter["Subject"] = " ".join(messages.subject(note).split())
    letter["Message-ID"] = f"<{note['id']}@{host}>"  # the same again where it has to be sent twice
    letter.set_content(messages.text(note))
    return letter
