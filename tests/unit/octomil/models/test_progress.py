import io

import pytest

from octomil.models.progress import PlainProgress

MB = 10**6


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def stream():
    return io.StringIO()


def test_a_log_gets_a_line_per_tenth_and_few_seconds(clock, stream):
    progress = PlainProgress(stream, clock=clock)

    for percent in range(101):
        clock.now += 0.5
        progress.advance("tiny", percent * MB, 100 * MB)

    lines = stream.getvalue().splitlines()
    assert lines[0] == "tiny: 10 MB of 100 MB (10 %)"
    assert len(lines) == 10


def test_a_fast_pull_says_little(clock, stream):
    progress = PlainProgress(stream, clock=clock)

    for percent in range(101):
        progress.advance("tiny", percent * MB, 100 * MB)

    assert stream.getvalue() == ""


def test_a_slow_pull_shows_that_it_lives(clock, stream):
    progress = PlainProgress(stream, clock=clock)

    progress.advance("tiny", 0, 100 * MB)
    clock.now += 31
    progress.advance("tiny", MB, 100 * MB)
    clock.now += 31
    progress.advance("tiny", MB, 0)

    assert stream.getvalue() == "tiny: 1 MB of 100 MB (1 %)\ntiny: 1 MB\n"


def test_what_was_begun_after_a_long_rest_is_not_slow(clock, stream):
    progress = PlainProgress(stream, clock=clock)

    for _ in range(2):
        clock.now += 3600
        progress.advance("onnx", 0, 76)
        progress.advance("onnx", 76, 76)

    assert stream.getvalue() == ""


def test_what_was_told_of_is_told_to_be_over(clock, stream):
    progress = PlainProgress(stream, clock=clock)

    for percent in (0, 95, 100):
        progress.advance("tiny", percent * MB, 100 * MB)
        clock.now += 5
    progress.advance("tiny", 100 * MB, 100 * MB)

    assert [line.split("(")[1] for line in stream.getvalue().splitlines()] == ["95 %)", "100 %)"]


def test_the_next_model_counts_from_its_own_start(clock, stream):
    progress = PlainProgress(stream, clock=clock)

    for name in ("first", "second"):
        progress.advance(name, 0, 100 * MB)
        clock.now += 5
        progress.advance(name, 50 * MB, 100 * MB)

    assert [line.split(":")[0] for line in stream.getvalue().splitlines()] == ["first", "second"]
