"""Lines that threads say at the same time."""

from concurrent.futures import ThreadPoolExecutor
from io import TextIOBase
from threading import Barrier

import pytest

from octomil.cli import lines

SPEAKERS = 8


class Pieces(TextIOBase):
    """Keeps what it is given, piece by piece."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def write(self, text: str, /) -> int:
        self.written.append(text)
        return len(text)


def test_each_is_written_with_its_end_in_one_piece(monkeypatch: pytest.MonkeyPatch):
    stream, together = Pieces(), Barrier(SPEAKERS)
    monkeypatch.setattr(lines.sys, "stdout", stream)

    def speak(number: int) -> None:
        together.wait()
        lines.say(f"line {number}")

    with ThreadPoolExecutor(SPEAKERS) as speakers:
        list(speakers.map(speak, range(SPEAKERS)))

    assert sorted(stream.written) == [f"line {number}\n" for number in range(SPEAKERS)]
