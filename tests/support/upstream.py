"""A small real server that speaks OpenAI's wire form, and misbehaves on demand.

Every request takes the next answer scripted for its model, else a well-behaved one. An answer is
written piece by piece, so that a test decides where its bytes are cut, where it waits, and where
the connection breaks. It runs in a thread of its own; the node under test is its only client.
"""

import asyncio
import json
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from support.waiting import PATIENCE_S

DONE = b"data: [DONE]\n\n"


class Gate:
    """A place where answers wait until the test lets them pass, or their client leaves."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting = self._left = 0
        self._is_open = False
        self._open: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def await_waiting(self, count: int = 1) -> None:
        """Return once `count` answers have come here."""
        self._await(lambda: self._waiting >= count, f"{count} answers at the gate")

    def await_hang_up(self, count: int = 1) -> None:
        """Return once `count` clients have closed their connection while they waited here."""
        self._await(lambda: self._left >= count, f"{count} clients to leave")

    def open(self) -> None:
        """Let everything pass, from now on."""
        with self._changed:
            self._is_open = True
            if self._loop is not None and self._open is not None:
                self._loop.call_soon_threadsafe(self._open.set)

    def _await(self, holds: Callable[[], bool], what: str) -> None:
        with self._changed:
            if not self._changed.wait_for(holds, PATIENCE_S):
                raise AssertionError(f"waited in vain for {what}")

    async def passed(self, reader: asyncio.StreamReader) -> bool:
        """Wait here; tell whether the client is still there afterwards."""
        with self._changed:
            if self._open is None:
                self._open, self._loop = asyncio.Event(), asyncio.get_running_loop()
                if self._is_open:
                    self._open.set()
            self._waiting += 1
            self._changed.notify_all()
        opened = asyncio.ensure_future(self._open.wait())
        gone = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait({opened, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            opened.cancel()
            gone.cancel()
            await asyncio.gather(opened, gone, return_exceptions=True)
        if gone.cancelled():
            return True
        with self._changed:
            self._left += 1
            self._changed.notify_all()
        return False


class Cut:
    """Where the connection breaks."""


CUT = Cut()


@dataclass(frozen=True)
class Answer:
    """One HTTP answer.

    Attributes:
        pieces: the body, each piece sent on its own; a gate waits, `CUT` breaks the connection.
        hold: where the answer waits before its first byte.
    """

    pieces: Sequence[bytes | Gate | Cut] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    hold: Gate | None = None


@dataclass(frozen=True)
class Seen:
    """A request that arrived."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]


def event(data: Mapping[str, Any] | bytes) -> bytes:
    """One server-sent event."""
    return b"data: " + (data if isinstance(data, bytes) else json.dumps(data).encode()) + b"\n\n"


def chunk(
    content: str | None = None, *, finish: str | None = None, model: str = "m", **more: Any
) -> dict[str, Any]:
    """One chunk of a chat completion; `more` goes beside `delta`."""
    delta = {} if content is None else {"content": content}
    return {
        "id": "chatcmpl-fake",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish, **more}],
    }


def usage(prompt: int, completion: int) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def usage_chunk(prompt: int, completion: int) -> dict[str, Any]:
    return {**chunk(), "choices": [], "usage": usage(prompt, completion)}


def words(text: str, *, model: str = "m") -> list[bytes]:
    """A whole, well-behaved stream that says `text` word by word."""
    pieces = text.split()
    said = [chunk(f" {word}" if i else word, model=model) for i, word in enumerate(pieces)]
    ending = [chunk(finish="stop", model=model), usage_chunk(3, len(pieces))]
    return [*map(event, [*said, *ending]), DONE]


def doubtful(text: str, logprob: float, *, prompt_tokens: int | None = None) -> list[bytes]:
    """A whole stream whose every word has this log-probability; it tells usage if asked to."""
    said = [
        chunk(word, logprobs={"content": [{"token": word, "logprob": logprob}]})
        for word in text.split()
    ]
    ending: list[dict[str, Any]] = [chunk(finish="stop")]
    if prompt_tokens is not None:
        ending.append(usage_chunk(prompt_tokens, len(said)))
    return [*map(event, [*said, *ending]), DONE]


def completion(text: str, *, model: str = "m") -> bytes:
    """A whole answer in one piece."""
    message = {"role": "assistant", "content": text}
    body = {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage(3, len(text.split())),
    }
    return json.dumps(body).encode()


def failure(status: int, message: str = "out of order", **headers: str) -> Answer:
    """An error in OpenAI's form."""
    body = json.dumps({"error": {"message": message, "type": "server_error", "code": None}})
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer([body.encode()], status=status, headers=named)


class FakeUpstream:
    """The running server; tests script it and read what it has seen."""

    def __init__(self) -> None:
        self.url = ""
        self.seen: list[Seen] = []
        self._next: defaultdict[str, deque[Answer]] = defaultdict(deque)
        self._always: dict[str, Answer] = {}

    @property
    def env(self) -> dict[str, str]:
        """The environment that leads a node here, as OpenAI and as Ollama."""
        return {
            "OPENAI_API_ENDPOINT": f"{self.url}/v1",
            "OPENAI_API_KEY": "upstream-key",
            "OLLAMA_BASE_URL": self.url,
        }

    def script(self, model: str, *answers: Answer) -> None:
        """Give the next requests for `model` these answers, in order."""
        self._next[model].extend(answers)

    def always(self, model: str, answer: Answer) -> None:
        """Give every request for `model` this answer."""
        self._always[model] = answer

    def forget(self) -> None:
        """Go back to good behaviour, with nothing seen."""
        self.seen.clear()
        self._next.clear()
        self._always.clear()

    def requests(self, model: str) -> list[Seen]:
        """What was asked of `model`."""
        return [seen for seen in self.seen if seen.body.get("model") == model]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has had enough
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head.strip().split("\r\n")
        pairs = (field.partition(":") for field in fields)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
        seen = Seen(line.split()[1], headers, json.loads(raw or b"{}"))
        self.seen.append(seen)
        answer = self._answer(seen)
        if answer.hold is not None and not await answer.hold.passed(reader):
            return False
        lines = [f"HTTP/1.1 {answer.status} X", "transfer-encoding: chunked"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        for piece in answer.pieces:
            if isinstance(piece, Cut):
                return False
            if isinstance(piece, Gate):
                if not await piece.passed(reader):
                    return False
            else:
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    def _answer(self, seen: Seen) -> Answer:
        model = seen.body.get("model", "")
        if self._next[model]:
            return self._next[model].popleft()
        return self._always.get(model) or _good_answer(seen, model)


def _good_answer(seen: Seen, model: str) -> Answer:
    if seen.path.endswith("/api/show"):
        return Answer([b'{"capabilities": ["completion", "tools"], "model_info": {}}'])
    if seen.path.endswith("/embeddings"):
        rows = [{"index": i, "embedding": [1.0, 0.0]} for i in range(len(seen.body["input"]))]
        return Answer([json.dumps({"data": rows, "usage": {"prompt_tokens": 2}}).encode()])
    if seen.body.get("stream"):
        return Answer(words(f"this is {model}", model=model))
    return Answer([completion(f"this is {model}", model=model)])


@contextmanager
def fake_upstream() -> Iterator[FakeUpstream]:
    """Run the server until the block ends."""
    upstream = FakeUpstream()
    started = threading.Event()
    ending: list[Callable[[], object]] = []

    async def main() -> None:
        end = asyncio.Event()
        loop = asyncio.get_running_loop()
        ending.append(lambda: loop.call_soon_threadsafe(end.set))
        connections: set[asyncio.Task[None]] = set()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(upstream.serve(reader, writer))
            connections.add(task)
            task.add_done_callback(connections.discard)

        server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=1024)
        upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        started.set()
        await end.wait()
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    thread = threading.Thread(target=asyncio.run, args=(main(),), daemon=True)
    thread.start()
    assert started.wait(PATIENCE_S)
    try:
        yield upstream
    finally:
        ending[0]()
        thread.join(PATIENCE_S)
