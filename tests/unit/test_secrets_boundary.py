"""Outputs of a program that knows secrets: streams, log records, the SDKs' own loggers."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import pytest

from oatie_ops.secrets import Redactor, Secret, boundary
from oatie_ops.secrets.boundary import RedactedRecord, RedactingStream
from oatie_ops.secrets.logs import cap_sdk_loggers

VALUE = "canary-boundary-é-9c1"


@pytest.fixture
def known() -> Redactor:
    redactor = Redactor()
    redactor.remember(VALUE)
    return redactor


def test_a_stream_hides_values_however_they_are_written(known: Redactor) -> None:
    inner = io.StringIO()
    stream = RedactingStream(inner, known)
    print("a", VALUE, VALUE[:5], sep=" ", end="", file=stream)
    print(VALUE[5:], "b", file=stream)
    stream.buffer.write(f"c {VALUE}\n".encode())
    stream.flush()

    assert inner.getvalue() == "a *** *** b\nc ***\n"


def test_a_stream_passes_other_text_on_unchanged_and_at_once(known: Redactor) -> None:
    inner = io.StringIO()
    stream = RedactingStream(inner, known)

    assert stream.write("grüße \udcff ☃\n") == 10
    assert inner.getvalue() == "grüße \udcff ☃\n"


def test_a_stream_looks_like_the_one_behind_it(known: Redactor) -> None:
    stream = RedactingStream(sys.__stdout__, known)

    assert stream.writable()
    assert stream.encoding == sys.__stdout__.encoding
    assert stream.isatty() == sys.__stdout__.isatty()
    assert stream.fileno() == 1


@contextmanager
def installed() -> Iterator[io.StringIO]:
    out = io.StringIO()
    factory = logging.getLogRecordFactory()
    with redirect_stdout(out), redirect_stderr(out):
        boundary.install()
        boundary.install()
        yield out
    logging.setLogRecordFactory(factory)


def test_an_installed_boundary_hides_values_from_streams_logs_and_tracebacks() -> None:
    secret = Secret(VALUE)
    handled = io.StringIO()
    handler = logging.StreamHandler(handled)
    logger = logging.getLogger("test.boundary")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    with installed() as out:
        print("shown", secret.reveal())
        sys.stderr.write(f"also {VALUE}\n")
        logger.warning("logged %s", secret.reveal())
        try:
            raise RuntimeError(f"password {secret.reveal()} refused")
        except RuntimeError:
            logger.exception("failed")
        streams = (sys.stdout, sys.stderr)
    logger.removeHandler(handler)

    shown = out.getvalue() + handled.getvalue()
    assert "canary" not in shown
    assert "shown ***" in shown
    assert "RuntimeError: password *** refused" in shown
    for stream in streams:
        assert isinstance(stream, RedactingStream)
        assert stream._inner is out


def test_a_record_that_cannot_be_formatted_is_logging_own_error() -> None:
    record = RedactedRecord("n", logging.INFO, "f", 1, "%d", ("x",), None)

    with pytest.raises(TypeError):
        record.getMessage()


@pytest.mark.parametrize(
    "name", ["botocore", "botocore.parsers", "urllib3.connectionpool", "google.auth", "azure.core"]
)
def test_the_loggers_of_sdks_say_nothing_below_info_even_if_asked_later(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger(name)
    before = logger.level
    try:
        logger.setLevel(logging.DEBUG)
        cap_sdk_loggers()
        assert not logger.isEnabledFor(logging.DEBUG)
        logger.setLevel(logging.DEBUG)
        with caplog.at_level(logging.DEBUG):
            logger.debug("response body: canary")
            logger.info("said")
        assert caplog.messages == ["said"]
    finally:
        logger.setLevel(before)
