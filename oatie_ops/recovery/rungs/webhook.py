"""``webhook = "https://…"``: POSTs what fails as JSON; any answer of 2xx is taken for done."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from oatie_ops.health.attempt import Attempt
from oatie_ops.recovery.rungs.base import ActionFailed, Occasion, Tools


@dataclass(frozen=True)
class Webhook:
    url: str = field(repr=False)
    tools: Tools
    timeout_seconds: float

    async def run(self, occasion: Occasion) -> str:
        key = ("webhook", occasion.service, occasion.rung)
        status = await self.tools.threads.call(key, lambda: self._post(occasion), Attempt())
        return f"the webhook answered {status}"

    def _post(self, occasion: Occasion) -> int:
        import http.client
        import urllib.error
        import urllib.request

        body = json.dumps(asdict(occasion)).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "oatie"}
        try:
            request = urllib.request.Request(self.url, body, headers, method="POST")
            with urllib.request.urlopen(request, timeout=self.timeout_seconds) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            raise ActionFailed(f"the webhook answered {error.code}") from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            # Without the address, which may hold a secret.
            raise ActionFailed(f"the webhook was not reached: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    inner = getattr(error, "reason", error)
    if isinstance(inner, TimeoutError):
        return "no answer in time"
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror
    return type(inner).__name__
