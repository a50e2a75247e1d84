"""Reading a streamed answer the way a strict client does."""

import json
from dataclasses import dataclass, field
from typing import Any

import httpx

from octomil.http.sse import event_data


@dataclass
class Stream:
    """What came.

    Attributes:
        events: every event that is JSON.
        dones: how many times the end was announced.
    """

    events: list[dict[str, Any]] = field(default_factory=list)
    dones: int = 0

    @property
    def text(self) -> str:
        """What the first choice says, in a chat or a completion."""
        said = [c for e in self.events for c in e.get("choices", ()) if c["index"] == 0]
        return "".join(c.get("text") or c.get("delta", {}).get("content") or "" for c in said)

    @property
    def finish_reasons(self) -> list[str]:
        told = [c.get("finish_reason") for e in self.events for c in e.get("choices", ())]
        return [reason for reason in told if reason is not None]

    @property
    def usages(self) -> list[dict[str, Any]]:
        return [event["usage"] for event in self.events if event.get("usage")]


def read_stream(response: httpx.Response) -> Stream:
    """Read a whole streamed answer; nothing may follow its end."""
    assert response.headers["content-type"].startswith("text/event-stream"), response.text
    return read_events(response.content)


def read_events(body: bytes) -> Stream:
    stream = Stream()
    for data in event_data(body):
        assert not stream.dones, "something came after [DONE]"
        if data == b"[DONE]":
            stream.dones += 1
        else:
            stream.events.append(json.loads(data))
    return stream
