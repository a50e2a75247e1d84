"""Engines on a thread of their own: within a budget, in turn, and gone when nobody is left."""

import gc
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from octomil.engines.base import Completion, GenerationRequest
from octomil.engines.echo import EchoEngine
from octomil.engines.threaded import ThreadedEngine, Writing
from octomil.errors import InsufficientSpaceError, InvalidRequestError
from octomil.sdk.local_engines import LocalEngines
from octomil.sdk.parameters import Query
from support.waiting import PATIENCE_S

HELLO = Query.read("Hello", {})
MIB = 2**20


@pytest.fixture
def engines() -> Iterator[LocalEngines]:
    engines = LocalEngines(100 * MIB)
    yield engines
    engines.close()


class Noted(EchoEngine):
    """Notes when it is loaded and closed."""

    def __init__(self, name: str, events: list[str]) -> None:
        super().__init__(name)
        self._events_seen = events

    async def load(self, progress) -> None:
        await super().load(progress)
        self._events_seen.append(f"{self.name} loaded")

    async def close(self) -> None:
        if self._loaded:
            self._events_seen.append(f"{self.name} closed")
        await super().close()


def test_the_least_recently_used_makes_room_and_comes_back(engines: LocalEngines):
    events: list[str] = []
    engines.add("a", Noted("a", events), 60 * MIB)
    engines.add("b", Noted("b", events), 60 * MIB)
    said, _ = engines.write("a", HELLO)

    assert said == "Hello"
    assert events == ["a loaded", "a closed", "b loaded", "b closed", "a loaded"]


def test_what_can_never_fit_is_refused(engines: LocalEngines):
    with pytest.raises(InsufficientSpaceError, match="'large' is estimated to need 101 MiB"):
        engines.require_room("large", 101 * MIB)
    with pytest.raises(InsufficientSpaceError):
        engines.add("large", EchoEngine(), 101 * MIB)


class OneAtATime(ThreadedEngine):
    """Fails if it is asked while it writes."""

    def __init__(self) -> None:
        super().__init__("single", context_tokens=64, chats=False)
        self._writing = threading.Lock()
        self.most_busy = 0

    def load_model(self) -> None:
        """Nothing to load."""

    def unload_model(self) -> None:
        """Nothing to let go of."""

    async def generate(self, request: GenerationRequest) -> Completion:
        raise AssertionError("clients stream")

    def write(self, writing: Writing) -> None:
        assert self._writing.acquire(blocking=False)
        self.most_busy = max(self.most_busy, self._busy)
        writing.say(writing.body["prompt"])
        self._writing.release()


def test_no_engine_is_asked_for_more_at_once_than_it_does(engines: LocalEngines):
    engine = OneAtATime()
    engines.add("single", engine, 0)
    queries = [Query.read(str(number), {}) for number in range(16)]
    with ThreadPoolExecutor(8) as threads:
        said = list(threads.map(lambda query: engines.write("single", query)[0], queries))

    assert said == [str(number) for number in range(16)]
    assert engine.most_busy == 1


def test_a_model_without_conversations_continues_one_text(engines: LocalEngines):
    engines.add("single", OneAtATime(), 0)
    turns = [{"role": "user", "content": "one"}, {"role": "user", "content": "two"}]

    assert engines.write("single", Query.read(turns[:1], {}))[0] == "one"
    with pytest.raises(InvalidRequestError, match="give it one message") as refused:
        engines.write("single", Query.read(turns, {}))
    assert refused.value.param == "messages"
    with pytest.raises(InvalidRequestError, match="makes no embeddings"):
        engines.embed("single", ["text"])


def test_engines_that_nobody_refers_to_end():
    engines = LocalEngines(MIB)
    events: list[str] = []
    engines.add("a", Noted("a", events), 0)
    thread = engines._thread._thread
    del engines
    gc.collect()

    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert events == ["a loaded", "a closed"]


LEAVES = """
from octomil.engines.threaded import ThreadedEngine
from octomil.sdk.local_engines import LocalEngines
from octomil.sdk.parameters import Query

class Polite(ThreadedEngine):
    def load_model(self): pass
    def unload_model(self): pass
    def write(self, writing): writing.say("bye")

engines = LocalEngines(0)
engines.add("polite", Polite("polite", context_tokens=8, chats=True), 0)
print(engines.write("polite", Query.read("Hello", {}))[0])
"""


def test_a_program_may_end_with_engines_open():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LEAVES],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stdout, done.stderr) == (0, "bye\n", "")
