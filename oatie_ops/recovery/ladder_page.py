"""One page, sent at once: where no supervisor keeps a queue of alerts. Blocks."""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Mapping
from typing import Any

from oatie_ops.health.alerts import messages
from oatie_ops.health.alerts.policy import Tell, Told
from oatie_ops.health.alerts.send import NotDelivered, send


def send_page(app: str, alert: Mapping[str, Any], service: str, text: str) -> str:
    """Why it did not arrive; empty where it did. ``alert``: an ``[alerts.NAME]`` table."""
    now = time.time()
    tell = Tell(Told.FIRING, service, "fail", text, now)
    source = {"host": socket.gethostname(), "app": app, "url": ""}
    note = messages.notification(uuid.uuid4().hex, [tell], source, now)
    try:
        send(alert, note)
    except NotDelivered as failed:
        return str(failed)
    return ""
