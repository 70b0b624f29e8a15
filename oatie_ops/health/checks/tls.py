"""``{ type = "tls", host = "db.internal", port = 5433, expiry_warn_days = 21 }``: its certificate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from oatie_ops.health.attempt import Attempt
from oatie_ops.health.certificates import Expiry, declared, left_days
from oatie_ops.health.checks.base import Check, CheckUnusable, Tools
from oatie_ops.health.model import CheckSpec, Result, Status
from oatie_ops.health.net import Target, connect, tls_context


@dataclass(frozen=True)
class TlsCheck:
    spec: CheckSpec
    tools: Tools
    target: Target
    ca_file: str
    verify: bool
    expiry: Expiry

    async def run(self, attempt: Attempt) -> Result:
        threads, key = self.tools.threads, self.spec.key
        context = await threads.call(key, partial(tls_context, self.verify, self.ca_file), attempt)
        target = Target(self.target.host, self.target.port, context, self.target.server_name)
        _, writer = await connect(target, attempt, threads, key)
        try:
            days = left_days(writer, self.expiry)
            protocol = str(writer.get_extra_info("ssl_object").version())
        finally:
            writer.transport.abort()
        if days is None:
            return Result(Status.PASS, f"{target} speaks {protocol}; its certificate was not verified")
        found = self.expiry.judge(days)
        return Result(found.status, f"{target} speaks {protocol}; {found.output}", days, "days")


def build(spec: CheckSpec, tools: Tools) -> Check:
    options = spec.options
    host, port = options.get("host"), options.get("port", 443)
    if not host or not isinstance(port, int):
        raise CheckUnusable("a tls check needs host (and port, where it is not 443)")
    ca_file = str(tools.settings.root / options["ca_file"]) if options.get("ca_file") else ""
    target = Target(str(host), port, server_name=str(options.get("server_name") or host))
    return TlsCheck(spec, tools, target, ca_file, bool(options.get("verify_tls", True)), declared(options))
