"""How fast the redactor is: `python tests/benchmarks/bench_redact.py`. MB/s of a stream in 64 KiB pieces."""

from __future__ import annotations

import random
import string
import time
from collections.abc import Callable

from oatie_ops.secrets.redact import Redactor, StreamRedactor

SIZE = 8_000_000
PIECE = 65_536
ALPHABET = string.ascii_letters + string.digits + "/+=_!"


def words(source: random.Random, count: int) -> list[str]:
    return ["".join(source.choices(string.ascii_lowercase, k=source.randint(2, 9))) for _ in range(count)]


def corpus(source: random.Random, vocabulary: list[str]) -> bytes:
    return " ".join(source.choices(vocabulary, k=SIZE // 5)).encode()[:SIZE]


def random_values(source: random.Random, count: int) -> list[str]:
    return ["".join(source.choices(ALPHABET, k=source.randint(12, 40))) for _ in range(count)]


def passphrases(source: random.Random, vocabulary: list[str], count: int) -> list[str]:
    """Made of the very words of the text: the worst case for a filter."""
    return ["-".join(source.choices(vocabulary, k=4)) for _ in range(count)]


def stream_rate(redactor: Redactor, data: bytes) -> float:
    def work() -> None:
        stream = StreamRedactor(redactor)
        for start in range(0, len(data), PIECE):
            stream.feed(data[start : start + PIECE])
        stream.flush()

    return len(data) / 1e6 / best(work)


def best(work: Callable[[], object], rounds: int = 5) -> float:
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    source = random.Random(1)
    vocabulary = words(source, 3000)
    text = corpus(source, vocabulary)
    for count in (1, 10, 50, 200):
        for kind, values in (
            ("random", random_values(source, count)),
            ("passphrase", passphrases(source, vocabulary, count)),
        ):
            redactor = Redactor()
            for value in values:
                redactor.remember(value)
            patterns = len(redactor.index().patterns)
            hit = text[: SIZE // 2] + values[0].encode() + text[SIZE // 2 :]
            line = text[:100]
            line_us = (
                best(lambda line=line, known=redactor: [known.redact_bytes(line) for _ in range(1000)]) * 1e3
            )
            rate = stream_rate(redactor, hit)
            print(f"{count:>4} {kind:<10} values, {patterns:>4} patterns: {rate:5.0f} MB/s", end="; ")
            print(f"a line of 100 bytes {line_us:4.1f} us")


if __name__ == "__main__":
    main()
