"""The one root of every error that an operator is meant to read.

An error says *what* happened, *why* (the evidence), and how to *fix* it. It is rendered in one place
per face: ``oatie_ops.cli.output`` for the terminal and ``oatie_ops.api.problems`` for HTTP.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Any

from oatie_ops.exit_codes import ExitCode
from oatie_ops.redaction import redact, redact_value

# What the system says where there is no room, on the disk or within a quota.
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class OatieError(Exception):
    """What / why / fix, an exit code, and optional evidence.

    ``details`` are short lines shown under *why* (last log lines, a list of releases); ``data`` is
    machine-readable and appears only in ``--json``. A secret in any of it is masked where it is shown.
    """

    exit_code: ExitCode = ExitCode.FAILED

    def __init__(
        self,
        what: str,
        *,
        why: str = "",
        fix: str = "",
        details: Sequence[str] = (),
        data: dict[str, Any] | None = None,
        exit_code: ExitCode | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.fix = fix
        self.details = tuple(details)
        self.data = dict(data or {})
        if exit_code is not None:
            self.exit_code = exit_code

    @property
    def code(self) -> str:
        """A stable machine-readable name: ``ConfigInvalid`` becomes ``config-invalid``."""
        name = type(self).__name__
        return "".join(("-" if i and c.isupper() else "") + c.lower() for i, c in enumerate(name))

    def as_dict(self) -> dict[str, Any]:
        """For JSON: code, what, why, fix, details, exit_code, and data where there are some; all redacted."""
        return {
            "code": self.code,
            "what": redact(self.what),
            "why": redact(self.why),
            "fix": redact(self.fix),
            "details": [redact(line) for line in self.details],
            "exit_code": int(self.exit_code),
            **({"data": redact_value(self.data)} if self.data else {}),
        }


class UsageError(OatieError):
    exit_code = ExitCode.USAGE


class ConfigInvalid(OatieError):
    exit_code = ExitCode.CONFIG_INVALID


class PrerequisiteMissing(OatieError):
    exit_code = ExitCode.PREREQUISITE_MISSING


class Locked(OatieError):
    exit_code = ExitCode.LOCKED


class Interrupted(OatieError):
    exit_code = ExitCode.INTERRUPTED
