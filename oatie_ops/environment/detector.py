"""`EnvironmentDetector`: the thin shell that hands the real world, or a test's, to the pure evaluation."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Mapping

from oatie_ops.environment.endpoints import Endpoints, ProbeResult
from oatie_ops.environment.evaluate import Evaluation, evaluate, explain
from oatie_ops.environment.facts import MAX_TEXT_CHARACTERS, Facts, ReadFile
from oatie_ops.environment.layers import Detection, EnvironmentType, SignalReport
from oatie_ops.environment.profile import choose
from oatie_ops.environment.table import COUNTERS_OF, TABLE
from oatie_ops.records import dataclass

_OS_NAMES = {"win32": "windows", "cygwin": "windows", "macos": "darwin"}


def read_text(path: str) -> str | None:
    """The file's text, "" for what exists but holds no text (a directory, a socket), None if absent.

    Raises PermissionError where it may not be read. Never blocks: a pipe is opened without waiting.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno in {errno.ENXIO, errno.EISDIR}:  # a socket
            return ""
        if error.errno in {errno.EACCES, errno.EPERM}:
            raise PermissionError(error.errno, os.strerror(error.errno), path) from None
        return None
    try:
        return _read_all(descriptor).decode("utf-8", "replace")
    except (IsADirectoryError, BlockingIOError):
        return ""
    finally:
        os.close(descriptor)


def _read_all(descriptor: int) -> bytes:
    # One read returns at most a page of a file in /proc.
    parts: list[bytes] = []
    left = MAX_TEXT_CHARACTERS
    while left > 0 and (part := os.read(descriptor, min(left, 65536))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


@dataclass(frozen=True)
class Explanation:
    """What `oatie detect --explain` prints: the answer, every signal, and every file that was looked at."""

    detection: Detection
    signals: tuple[SignalReport, ...]
    files_read: tuple[str, ...]
    unreadable: tuple[str, ...]
    probes: tuple[ProbeResult, ...]


class EnvironmentDetector:
    """Says where this process runs, from its environment and a few files; with `probe`, from the network.

    `environ` is the complete environment; `read(path)` returns a file's text, "" for an empty file or a
    directory, None if absent, and may raise PermissionError; `system` is `linux`, `darwin` or `windows`
    (any spelling of `sys.platform` or `platform.system()`). `environment` overrides what applies, as
    `--environment` does. Never raises, whatever the input; takes well under a millisecond without `probe`.
    """

    def __init__(
        self,
        environ: Mapping[str, str] | None = None,
        read: ReadFile | None = None,
        system: str | Callable[[], str] | None = None,
        *,
        environment: str | None = None,
        probe: bool = False,
        endpoints: Endpoints | None = None,
    ) -> None:
        self._environ = os.environ if environ is None else environ
        self._read = read or read_text
        name = (system() if callable(system) else system) or sys.platform
        self._os = _OS_NAMES.get(name.lower(), name.lower())
        self._environment = environment
        self._probe = probe
        self._endpoints = endpoints or Endpoints()
        self._probes: tuple[ProbeResult, ...] = ()

    def detect(self) -> Detection:
        """One reading of the world; nothing is kept between calls."""
        facts = self._facts()
        return self._detection(facts, evaluate(facts, TABLE, COUNTERS_OF))

    def detect_environment_type(self) -> EnvironmentType:
        """The profile that applies; `.value` is its name."""
        return self.detect().profile

    def detect_platform(self) -> str:
        """The headline: the most specific thing that runs this process, or `local`."""
        return self.detect().platform

    def explain(self) -> Explanation:
        """The same answer with all that it was found from, also what did not count."""
        facts = self._facts()
        signals = explain(facts, TABLE, COUNTERS_OF)
        detection = self._detection(facts, evaluate(facts, TABLE, COUNTERS_OF))
        unreadable = tuple(sorted(facts.unreadable))
        return Explanation(detection, signals, facts.paths_read, unreadable, self._probes)

    def _facts(self) -> Facts:
        metadata: Mapping[str, Mapping[str, str]] = {}
        if self._probe:
            from oatie_ops.environment.probe import probe_metadata  # http.client costs 20 ms to import

            self._probes = probe_metadata(self._endpoints)
            metadata = {result.provider: result.identity for result in self._probes if result.verified}
        return Facts(self._environ, self._read, self._os, metadata)

    def _detection(self, facts: Facts, result: Evaluation) -> Detection:
        layers = result.layers
        choice = choose(facts, layers, result.winners, result.confidence, self._environment)
        return Detection(
            os=self._os,
            provider=layers.get("provider"),
            platform=layers.get("platform", "local"),
            orchestrator=layers.get("orchestrator"),
            container=layers.get("container"),
            ci=layers.get("ci"),
            dev=layers.get("dev"),
            confidence=result.confidence,
            environment=choice.environment,
            profile=choice.profile,
            environment_source=choice.source,
            environment_why=choice.why,
            pull_request=result.pull_request,
            identity=result.identity,
            evidence=result.evidence,
            hints=result.hints,
            warnings=choice.warnings,
        )
