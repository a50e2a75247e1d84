import threading
from collections.abc import Iterator

import pytest

from octomil.control.workers import FairWorkers
from octomil.errors import ServiceUnavailableError
from support.waiting import PATIENCE_S, eventually


@pytest.fixture
def go_on() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def workers(go_on: threading.Event) -> Iterator[FairWorkers]:
    workers = FairWorkers(2, 2, "test-worker")
    yield workers
    go_on.set()
    workers.close()


def test_a_thread_is_left_for_another_owner(workers: FairWorkers, go_on: threading.Event):
    mine = [workers.submit("a", lambda: go_on.wait(PATIENCE_S)) for _ in range(3)]

    assert workers.submit("b", lambda: 7).result(PATIENCE_S) == 7
    assert workers.submit("b", lambda: 8).result(PATIENCE_S) == 8
    assert not any(each.done() for each in mine)
    go_on.set()
    assert [each.result(PATIENCE_S) for each in mine] == [True] * 3


def test_more_than_may_wait_of_one_owner_s_is_turned_away(
    workers: FairWorkers, go_on: threading.Event
):
    mine = [workers.submit("a", lambda: go_on.wait(PATIENCE_S)) for _ in range(3)]

    with pytest.raises(ServiceUnavailableError) as refusal:
        workers.submit("a", int)
    assert refusal.value.details["retry_after_s"] > 0
    mine.pop().cancel()
    mine.append(workers.submit("a", lambda: go_on.wait(PATIENCE_S)))
    go_on.set()

    assert [each.result(PATIENCE_S) for each in mine] == [True] * 3


def test_an_error_comes_back_and_frees_its_thread(workers: FairWorkers):
    for _ in range(5):
        with pytest.raises(ZeroDivisionError):
            workers.submit("a", lambda: 1 // 0).result(PATIENCE_S)

    assert workers.submit("a", int).result(PATIENCE_S) == 0


def test_after_the_end_nothing_is_begun(workers: FairWorkers, go_on: threading.Event):
    under_way = workers.submit("a", lambda: go_on.wait(PATIENCE_S))
    waiting = workers.submit("a", int)
    closing = threading.Thread(target=workers.close)
    closing.start()

    eventually(waiting.cancelled)
    with pytest.raises(ServiceUnavailableError, match="stopping"):
        workers.submit("b", int)
    go_on.set()
    closing.join(PATIENCE_S)

    assert under_way.result(PATIENCE_S) is True
