import errno
import fcntl
import io
import os
import threading

import pytest

from octomil.serve.request_log import RequestLog
from support.waiting import PATIENCE_S

LINE = f"[request] {'x' * 89}\n"  # 100 bytes


@pytest.fixture
def pipe():
    """A pipe that holds one page, and the text file of its writing end."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    with os.fdopen(reading, "rb", buffering=0) as reader, os.fdopen(writing, "w") as writer:
        yield reader, writer


def lost_notice(lines):
    return f"[serve] lines of this log that could not be written and are lost: {lines}\n"


def read_to_the_end(reader):
    text = b""
    while piece := reader.read(65536):
        text += piece
    return text.decode()


def test_lines_come_out_in_order_and_before_the_end():
    out = io.StringIO()

    with RequestLog(out, close_timeout_s=PATIENCE_S) as log:
        for number in range(1000):
            log.write(f"{number}\n")

    assert out.getvalue() == "".join(f"{number}\n" for number in range(1000))
    assert log.lost == 0


def test_line_comes_out_by_itself(pipe):
    reader, writer = pipe
    with RequestLog(writer) as log:
        log.write("alone\n")

        assert reader.read(100) == b"alone\n"


def test_reader_that_does_not_read_holds_nobody_up_and_is_told_what_it_missed(pipe):
    reader, writer = pipe
    with RequestLog(writer, max_lines=200, close_timeout_s=PATIENCE_S) as log:
        for _ in range(1000):  # 100,000 bytes, where the pipe takes 4,096
            log.write(LINE)

        heard = []
        listener = threading.Thread(target=lambda: heard.append(read_to_the_end(reader)))
        listener.start()
        log.close()
        writer.close()
        listener.join()

    *lines, last = heard[0].splitlines(keepends=True)
    assert set(lines) == {LINE}
    assert len(lines) + log.lost == 1000
    assert log.lost > 500
    assert last == lost_notice(log.lost)


def test_end_does_not_wait_for_a_reader_that_never_reads(pipe):
    reader, writer = pipe
    log = RequestLog(writer, close_timeout_s=0.05)
    for _ in range(100):
        log.write(LINE)

    assert not log.close()

    unread = 100 * len(LINE)
    while unread:  # somebody reads after all
        unread -= len(reader.read(unread))
    while not log.close():
        pass


def test_lines_that_nobody_can_take_are_counted(pipe):
    reader, writer = pipe
    reader.close()
    log = RequestLog(writer, close_timeout_s=PATIENCE_S)
    log.write(LINE)

    assert log.close()
    assert log.lost == 1


def test_line_that_comes_after_the_end_is_counted():
    log = RequestLog(io.StringIO())
    log.close()

    log.write(LINE)

    assert log.lost == 1


class FullDisk(io.StringIO):
    """Has no room for the first thing that is written."""

    def __init__(self):
        super().__init__()
        self.refused = threading.Event()

    def write(self, text):
        if not self.refused.is_set():
            self.refused.set()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(text)


def test_what_a_full_disk_cost_is_told_when_there_is_room():
    disk = FullDisk()
    with RequestLog(disk, close_timeout_s=PATIENCE_S) as log:
        log.write("first\n")
        assert disk.refused.wait(PATIENCE_S)
        log.write("second\n")

    assert disk.getvalue() == "second\n" + lost_notice(1)
