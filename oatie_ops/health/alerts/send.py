"""One attempt to deliver one notification. Blocks; imports what it needs when it needs it (memory)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from typing import Any

from oatie_ops.health.alerts import messages

TIMEOUT_SECONDS = 10.0
COMMAND_TIMEOUT_SECONDS = 30.0
MAX_STDERR_CHARACTERS = 300
# What a receiver may say about its own state; any other refusal is about the message.
TEMPORARY = frozenset({408, 425, 429})


class NotDelivered(Exception):
    """``final``: it was understood and refused; the same message again would be refused again."""

    def __init__(self, why: str, *, final: bool = False) -> None:
        super().__init__(why)
        self.final = final


def send(alert: Mapping[str, Any], note: Mapping[str, Any]) -> None:
    """``alert``: an ``[alerts.NAME]`` table. Raises `NotDelivered`."""
    if alert.get("webhook"):
        _webhook(str(alert["webhook"]), str(alert.get("format", "json")), note)
    elif alert.get("command"):
        _command([str(part) for part in alert["command"]], note)
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


def _command(argv: list[str], note: Mapping[str, Any]) -> None:
    try:
        done = subprocess.run(
            argv,
            input=json.dumps(note).encode(),
            capture_output=True,
            timeout=COMMAND_TIMEOUT_SECONDS,
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        raise NotDelivered(f"the command did not end within {COMMAND_TIMEOUT_SECONDS:g} s") from None
    except OSError as error:
        raise NotDelivered(f"the command cannot be run: {error.strerror}") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-MAX_STDERR_CHARACTERS:]
        raise NotDelivered(f"the command exited {done.returncode}{f': {said}' if said else ''}")


def _mail(addresses: list[str], url: str, note: Mapping[str, Any]) -> None:
    import smtplib
    import socket
    import ssl
    from email.message import EmailMessage
    from urllib.parse import unquote, urlsplit

    parts = urlsplit(url)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    host = socket.gethostname()
    message = EmailMessage()
    message["From"] = user if "@" in user else f"oatie@{host}"
    message["To"] = ", ".join(addresses)
    message["Subject"] = " ".join(messages.subject(note).split())
    message["Message-ID"] = f"<{note['id']}@{host}>"  # the same again where it has to be sent twice
    message.set_content(messages.text(note))
    try:
        secure = parts.scheme == "smtps"
        port = parts.port or (465 if secure else 25)
        context = ssl.create_default_context()
        server: smtplib.SMTP = (
            smtplib.SMTP_SSL(parts.hostname or "localhost", port, timeout=TIMEOUT_SECONDS, context=context)
            if secure
            else smtplib.SMTP(parts.hostname or "localhost", port, timeout=TIMEOUT_SECONDS)
        )
        with server:
            server.ehlo()
            if not secure and server.has_extn("starttls"):
                server.starttls(context=context)
                server.ehlo()
            if password:
                if not secure and "starttls" not in server.esmtp_features and not _local(parts.hostname):
                    raise NotDelivered("the mail server offers no TLS; the password is not sent", final=True)
                server.login(user, password)
            server.send_message(message)
    except smtplib.SMTPResponseException as error:
        raise NotDelivered(
            f"the mail server answered {error.smtp_code}", final=500 <= error.smtp_code < 600
        ) from None
    except smtplib.SMTPRecipientsRefused as error:
        codes = sorted({code for code, _ in error.recipients.values()})
        raise NotDelivered(
            f"the mail server refused every address ({codes[0]})", final=codes[0] >= 500
        ) from None
    except (OSError, smtplib.SMTPException) as error:
        raise NotDelivered(_reason(error)) from None


def _local(host: str | None) -> bool:
    return host in (None, "localhost", "127.0.0.1", "::1")
