"""Log capture with real pipes, a real event loop and real files."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oatie_ops.supervisor.logfile import RotatingFile, Writer, lost_note, rotated
from oatie_ops.supervisor.logline import LineSplitter, LogLine, parse, prefix, stamp
from oatie_ops.supervisor.logs import LogSink, log_file

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (\S+) (stdout|stderr|note) (.*)")


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[LogSink]:
    sink = LogSink(tmp_path, max_bytes=10_000_000, keep_files=2)
    yield sink
    sink.close()


def run_until(loop: asyncio.AbstractEventLoop, condition: Callable[[], bool]) -> None:
    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.005)

    loop.run_until_complete(asyncio.wait_for(wait(), 10))


def pipe_to(sink: LogSink, loop: asyncio.AbstractEventLoop, worker: int, stream: str = "stdout") -> int:
    """The write end of a pipe that the sink reads."""
    read_end, write_end = os.pipe()
    sink.attach(loop, read_end, worker, stream)  # type: ignore[arg-type]
    return write_end


def written(directory: Path) -> list[tuple[str, str, str]]:
    found = [LINE.fullmatch(line) for line in log_file(directory).read_text().splitlines()]
    return [(m[1], m[2], m[3]) for m in found if m] if all(found) else []


# -- bytes to lines ------------------------------------------------------------------------------------


def feed(chunks: list[bytes], limit: int = 16) -> list[bytes]:
    splitter = LineSplitter(limit)
    return [line for chunk in chunks for line in splitter.feed(chunk)] + splitter.flush()


def test_lines_are_whole_however_the_bytes_arrive() -> None:
    assert feed([b"on", b"e\ntw", b"o\r\n", b"\n", b"three"]) == [b"one", b"two", b"", b"three"]


def test_a_line_without_an_end_is_known_before_its_end_comes() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b"done\nenter a name: ") == [b"done"]
    assert splitter.partial == "enter a name: "


def test_a_long_line_comes_in_marked_pieces_and_loses_nothing() -> None:
    line = bytes(range(48, 58)) * 5
    pieces = feed([line + b"\nnext\n"])
    assert pieces[-1] == b"next"
    assert all(len(piece) <= 16 + 3 for piece in pieces)
    assert b"".join(piece.removesuffix("…".encode()) for piece in pieces[:-1]) == line


def test_a_piece_does_not_cut_a_character_in_two() -> None:
    pieces = feed(["ä€😀x".encode() * 10])
    assert "".join(piece.decode().removesuffix("…") for piece in pieces) == "ä€😀x" * 10


def test_bytes_that_are_not_utf8_are_shown_as_escapes() -> None:
    assert feed([b"caf\xe9 \xff\n"]) == [b"caf\\xe9 \\xff"]


@given(st.lists(st.binary(max_size=40), max_size=12))
def test_the_cut_of_the_chunks_never_matters(chunks: list[bytes]) -> None:
    assert feed(chunks, 1000) == feed([b"".join(chunks)], 1000)
    for line in feed(chunks, 8):
        line.decode()


def test_a_line_in_the_file_can_be_read_back() -> None:
    head = prefix(1_700_000_000.1239, 3, "stderr")
    assert head == b"2023-11-14T22:13:20.123Z 3 stderr "
    assert parse(head + b"a  b\n") == LogLine("2023-11-14T22:13:20.123Z", "3", "stderr", "a  b")
    assert parse(head + b"\n") == LogLine("2023-11-14T22:13:20.123Z", "3", "stderr", "")
    assert parse(b"torn line\n") is None


@given(st.lists(st.floats(0, 4e9), min_size=2, max_size=2))
def test_times_sort_as_text(times: list[float]) -> None:
    first, second = sorted(times)
    assert stamp(first) <= stamp(second)


# -- the sink ------------------------------------------------------------------------------------------


def test_workers_lines_land_in_the_file_with_time_worker_and_stream(
    loop: asyncio.AbstractEventLoop, sink: LogSink, tmp_path: Path
) -> None:
    out, err = pipe_to(sink, loop, 1), pipe_to(sink, loop, 2, "stderr")
    os.write(out, b"hello\n")
    os.write(err, b"oops\nagain\n")
    sink.note("worker 2 complains")
    run_until(loop, lambda: len(sink.tail(2)) == 2)
    assert sink.flush()
    assert sorted(written(tmp_path)) == [
        ("1", "stdout", "hello"),
        ("2", "stderr", "again"),
        ("2", "stderr", "oops"),
        ("supervisor", "note", "worker 2 complains"),
    ]
    assert stat.S_IMODE(log_file(tmp_path).stat().st_mode) == 0o600
    os.close(out)
    os.close(err)


def test_the_last_words_of_a_dead_process_are_known_at_once(
    loop: asyncio.AbstractEventLoop, sink: LogSink
) -> None:
    """Nothing has run the loop between its death and the question."""
    read_end, write_end = os.pipe()
    sink.attach(loop, read_end, 7, "stderr")
    code = "import sys; sys.stderr.write('first\\nlast words'); sys.stderr.flush(); import os; os._exit(3)"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=write_end)
    os.close(write_end)
    process.wait()
    assert sink.tail(7) == ["first", "last words"]
    assert sink.tail(7, 1) == ["last words"]
    assert sink.tail() == ["[7] first", "[7] last words"]
    assert sink.tail(8) == []


def test_the_end_of_a_pipe_closes_it(loop: asyncio.AbstractEventLoop, sink: LogSink) -> None:
    read_end, write_end = os.pipe()
    sink.attach(loop, read_end, 1, "stdout")
    os.close(write_end)
    run_until(loop, lambda: not sink._pipes)
    with pytest.raises(OSError):
        os.fstat(read_end)


def test_a_new_worker_does_not_inherit_the_words_of_a_dead_one_with_its_id(
    loop: asyncio.AbstractEventLoop, sink: LogSink
) -> None:
    first = pipe_to(sink, loop, 1)
    os.write(first, b"I die\n")
    os.close(first)
    assert sink.tail(1) == ["I die"]
    run_until(loop, lambda: not sink._pipes)
    assert sink.tail(1) == ["I die"]
    out, err = pipe_to(sink, loop, 1), pipe_to(sink, loop, 1, "stderr")
    os.write(out, b"I live\n")
    assert sink.tail(1) == ["I live"]
    os.close(out)
    os.close(err)


def test_memory_of_lines_is_bounded(loop: asyncio.AbstractEventLoop, sink: LogSink) -> None:
    out = pipe_to(sink, loop, 1)
    os.write(out, b"".join(b"line %d\n" % i for i in range(500)))
    assert sink.tail(1, 10_000) == [f"line {i}" for i in range(400, 500)]
    for worker in range(2, 300):
        os.close(pipe_to(sink, loop, worker))
        sink._record(str(worker), "stdout", [b"x"])
    assert len(sink._rings) <= 64
    os.close(out)


def test_what_is_in_the_pipes_at_the_end_is_not_lost(loop: asyncio.AbstractEventLoop, tmp_path: Path) -> None:
    sink = LogSink(tmp_path, max_bytes=10_000_000, keep_files=2)
    out = pipe_to(sink, loop, 1)
    os.write(out, b"bye\nno line end")
    sink.close()
    assert written(tmp_path) == [("1", "stdout", "bye"), ("1", "stdout", "no line end")]
    os.close(out)


def test_a_worker_that_writes_without_end_does_not_hold_up_the_others(
    loop: asyncio.AbstractEventLoop, sink: LogSink
) -> None:
    noisy, quiet = os.pipe(), pipe_to(sink, loop, 2)
    sink.attach(loop, noisy[0], 1, "stdout")
    process = subprocess.Popen(["sh", "-c", "while :; do echo noise; done"], stdout=noisy[1])
    os.close(noisy[1])
    try:
        run_until(loop, lambda: bool(sink.tail(1)))
        os.write(quiet, b"me too\n")
        run_until(loop, lambda: "me too" in sink.tail(2))
    finally:
        process.kill()
        process.wait()
        os.close(quiet)


def test_thousands_of_lines_are_captured_complete_and_in_order(
    loop: asyncio.AbstractEventLoop, sink: LogSink, tmp_path: Path
) -> None:
    out = pipe_to(sink, loop, 1)
    expected = [f"line number {i}" for i in range(20_000)]
    writer = threading.Thread(
        target=write_all, args=(out, "".join(f"{line}\n" for line in expected).encode())
    )
    writer.start()
    run_until(loop, lambda: not sink._pipes)
    writer.join()
    assert sink.flush()
    assert [text for _, _, text in written(tmp_path)] == expected


def write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
    os.close(fd)


def test_in_the_foreground_lines_are_passed_on_unchanged(tmp_path: Path) -> None:
    code = """
import asyncio, os, sys
from pathlib import Path
from oatie_ops.supervisor.logs import LogSink
loop = asyncio.new_event_loop()
sink = LogSink(Path(sys.argv[1]), 10**6, 1, echo=True)
for stream in ("stdout", "stderr"):
    r, w = os.pipe()
    sink.attach(loop, r, 1, stream)
    os.write(w, b'{"to": "%s"}\\n' % stream.encode())
sink.note("started")
sink.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == '{"to": "stdout"}\n'
    assert sorted(done.stderr.splitlines()) == ["oatie: started", '{"to": "stderr"}']


# -- the file ------------------------------------------------------------------------------------------


def put_and_wait(writer: Writer, data: bytes) -> None:
    writer.put(data)
    assert writer.flush(10)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "app.log"


def test_the_file_is_rotated_by_size_and_only_so_many_are_kept(path: Path) -> None:
    writer = Writer(RotatingFile(path, max_bytes=10, keep_files=2), "test", lost_note)
    for number in range(5):
        put_and_wait(writer, b"line %d\n" % number)
    writer.close(5)
    assert path.read_text() == "line 4\n"
    assert rotated(path, 1).read_text() == "line 3\n"
    assert rotated(path, 2).read_text() == "line 2\n"
    assert not rotated(path, 3).exists()


def test_without_kept_files_the_file_starts_again(path: Path) -> None:
    writer = Writer(RotatingFile(path, max_bytes=10, keep_files=0), "test", lost_note)
    put_and_wait(writer, b"line 1\n")
    put_and_wait(writer, b"line 2\n")
    writer.close(5)
    assert [file.name for file in path.parent.iterdir()] == ["app.log"]
    assert path.read_text() == "line 2\n"


@pytest.mark.parametrize("act", ["move", "remove"])
def test_a_file_that_was_moved_or_removed_is_made_anew(path: Path, act: str) -> None:
    writer = Writer(RotatingFile(path, 1000, 2), "test", lost_note)
    put_and_wait(writer, b"before\n")
    path.replace(path.with_name("elsewhere")) if act == "move" else path.unlink()
    put_and_wait(writer, b"after\n")
    writer.close(5)
    assert path.read_text() == "after\n"


def test_reopen_lets_go_of_the_old_file(path: Path) -> None:
    writer = Writer(RotatingFile(path, 1000, 2), "test", lost_note)
    put_and_wait(writer, b"before\n")
    path.replace(path.with_name("moved"))
    writer.reopen()
    put_and_wait(writer, b"after\n")
    writer.close(5)
    assert (path.read_text(), path.with_name("moved").read_text()) == ("after\n", "before\n")


def test_two_supervisors_can_write_while_one_takes_over_from_the_other(path: Path) -> None:
    old, new = (Writer(RotatingFile(path, 30, 9), "test", lost_note) for _ in range(2))
    for number in range(8):
        put_and_wait(old, b"old line %d\n" % number)
        put_and_wait(new, b"new line %d\n" % number)
    old.close(5)
    new.close(5)
    lines = [line for file in path.parent.iterdir() for line in file.read_text().splitlines()]
    assert sorted(lines) == sorted(f"{who} line {n}" for who in ("old", "new") for n in range(8))
    assert all(file.stat().st_size <= 30 for file in path.parent.iterdir())


def test_a_full_disk_stops_nothing_and_the_loss_is_counted(path: Path, tmp_path: Path) -> None:
    """A real full file: the process may write no byte past the limit (RLIMIT_FSIZE)."""
    code = """
import resource, signal, sys
from pathlib import Path
from oatie_ops.supervisor.logfile import RotatingFile, Writer, lost_note
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
writer = Writer(RotatingFile(Path(sys.argv[1]), 10**6, 2), "test", lost_note)
resource.setrlimit(resource.RLIMIT_FSIZE, (25, resource.RLIM_INFINITY))
for line in (b"0123456789\\n", b"0123456789\\n", b"torn here\\n", b"lost\\nlost\\n"):
    writer.put(line); assert writer.flush(10)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
writer.put(b"space again\\n")
writer.close(10)
"""
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=60)
    lines = path.read_text().splitlines()
    assert lines[:3] == ["0123456789", "0123456789", "tor"]
    note = parse(lines[3].encode())
    assert note and note.text == f"3 lines of output lost: {os.strerror(errno.EFBIG)}"
    assert lines[4:] == ["space again"]


class Stuck:
    """A disk that hangs until it is told to go on."""

    def __init__(self) -> None:
        self.entered, self.go, self.taken = threading.Event(), threading.Event(), b""

    def write(self, data: bytes) -> int:
        self.entered.set()
        self.go.wait(30)
        self.taken += data
        return len(data)

    def close(self) -> None:
        """Nothing to close."""


def test_a_disk_that_hangs_holds_up_nobody_and_the_loss_is_counted() -> None:
    disk = Stuck()
    writer = Writer(disk, "test", lambda count, why: b"lost %d\n" % count, max_pending_bytes=100)
    for _ in range(50):
        writer.put(b"123456789\n")
    assert not writer.flush(0)
    disk.go.set()
    writer.close(10)
    assert disk.taken.count(b"123456789\n") == 10
    assert sum(int(count) for count in re.findall(rb"lost (\d+)", disk.taken)) == 40
    writer.put(b"after the end\n")
    assert b"after" not in disk.taken


def test_what_is_lost_during_the_last_write_is_counted_too() -> None:
    disk = Stuck()
    writer = Writer(disk, "test", lambda count, why: b"lost %d\n" % count, max_pending_bytes=10)
    writer.put(b"123456789\n")
    assert disk.entered.wait(60)
    writer.put(b"123456789\n")
    closing = threading.Thread(target=writer.close, args=(60,))
    closing.start()
    disk.go.set()
    closing.join()
    assert disk.taken == b"123456789\nlost 1\n"
