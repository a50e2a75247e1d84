"""What a node did reaches its control plane exactly once, whichever of the two is killed."""

import json
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.control import API, bearer, printed_key, upping
from support.round_robin import round_robin
from support.serving import ServeProcess, serving
from support.stopped import stop
from support.waiting import eventually

OFTEN = """
import octomil.compose_device
octomil.compose_device.REPORT_S = 0.05
from octomil.cli.main import main
raise SystemExit(main())
"""
"""A node that does not wait for the minute to end before it reports what was done in it."""

QUERIES = (
    "What is 15% of 240?",
    "hi",
    "Prove rigorously that every bounded monotone sequence of reals converges, and analyse why.",
)


@contextmanager
def node(state: Path, *words: str, **env: str) -> Iterator[ServeProcess]:
    models = ("--models", "echo:small,echo:large", "--auto-route", "--price", "large=1/2")
    with serving(*models, "--price", "small=0.5/1", *words, program=OFTEN, env={
        "OCTOMIL_STATE_DIR": str(state), "OCTOMIL_API_BASE": "", "OCTOMIL_API_KEY": "", **env,
    }) as served:  # fmt: skip
        yield served


def killed(server: ServeProcess) -> None:
    server.process.kill()
    server.process.wait()


class Asked:
    """What clients asked, counted from the answers that they got."""

    def __init__(self) -> None:
        self.told: Counter[str] = Counter()
        self.tiers = [0] * 4

    def ask(self, served: ServeProcess, rounds: int) -> None:
        for number in range(rounds * len(QUERIES)):
            answer = served.chat(QUERIES[number % len(QUERIES)])
            assert answer.status_code == 200, answer.text
            headers, usage = answer.headers, answer.json()["usage"]
            self.tiers[int(headers["x-octomil-routing-tier"])] += 1
            self.told["requests"] += 1
            self.told["routed"] += 1
            self.told["routing_us"] += int(headers["x-octomil-routing-latency-us"])
            self.told["prompt_tokens"] += usage["prompt_tokens"]
            self.told["completion_tokens"] += usage["completion_tokens"]
        named = served.chat("hi there", model="small")
        self.tiers[1] += 1
        self.told["requests"] += 1
        self.told["prompt_tokens"] += named.json()["usage"]["prompt_tokens"]
        self.told["completion_tokens"] += named.json()["usage"]["completion_tokens"]


def told(plane: ServeProcess, key: str) -> dict[str, Any]:
    answer = plane.get(f"{API}/routing/summary", headers=bearer(key))
    assert answer.status_code == 200, answer.text
    return answer.json()


def require_equal(plane: ServeProcess, key: str, asked: Asked) -> None:
    found = eventually(
        lambda: (seen := told(plane, key))["requests"] >= asked.told["requests"] and seen
    )
    names = ("requests", "routed", "prompt_tokens", "completion_tokens")
    assert {name: found[name] for name in names} == {name: asked.told[name] for name in names}
    assert round(found["routing_us_mean"] * found["routed"]) == asked.told["routing_us"]
    assert [each["requests"] for each in found["tiers"]] == asked.tiers
    assert (found["errors"], found["nodes"], found["dropped_minutes"]) == (0, 1, 0)
    assert found["cost_usd"] > 0
    points = plane.get(f"{API}/routing/series", headers=bearer(key)).json()["points"]
    assert sum(each["requests"] for each in points) == asked.told["requests"]


def spooled_requests(path: Path) -> int:
    """How many requests the whole lines of a node's spool tell of."""
    lines = [json.loads(line[9:]) for line in path.read_bytes().split(b"\n")[1:-1]]
    return sum(row["requests"] for line in lines for row in line["content"]["rows"])


def test_each_request_counts_once_whoever_is_killed(tmp_path: Path):
    state, data, asked = tmp_path / "state", tmp_path / "data", Asked()
    spool = state / "device" / "routing.spool"
    places: list[str] = []
    with round_robin(places) as front:  # a control plane that comes back has another port
        words = ("--control-plane", front.url, "--identifier", "n1")
        with upping(data) as plane:
            places[:] = [plane.url]
            key = printed_key(plane)
            with node(state, *words, OCTOMIL_BOOTSTRAP_TOKEN=key) as served:
                asked.ask(served, 2)
                require_equal(plane, key, asked)
                killed(plane)
                asked.ask(served, 2)
                with upping(data) as again:
                    places[:] = [again.url]
                    require_equal(again, key, asked)
                    eventually(lambda: spooled_requests(spool) == 0)  # the node knows that, too
                    killed(again)

                before = asked.told["requests"]
                asked.ask(served, 1)
                eventually(lambda: spooled_requests(spool) == asked.told["requests"] - before)
                killed(served)

        with upping(data) as plane:
            places[:] = [plane.url]
            with node(state, *words) as served:
                require_equal(plane, key, asked)
                asked.ask(served, 1)
                served.stop()  # what is left of the minute is told on the way out, or next time
            with node(state, *words):
                require_equal(plane, key, asked)


def test_a_node_that_ends_while_the_control_plane_stands_still_loses_nothing(tmp_path: Path):
    state, asked = tmp_path / "state", Asked()
    spool = state / "device" / "routing.spool"
    with upping(tmp_path / "data") as plane:
        key = printed_key(plane)
        words = ("--control-plane", plane.url, "--identifier", "n1")
        with node(state, *words, OCTOMIL_BOOTSTRAP_TOKEN=key) as served:
            asked.ask(served, 1)
            require_equal(plane, key, asked)
            eventually(lambda: spooled_requests(spool) == 0)
            try:
                stop(plane.process.pid)
                asked.ask(served, 1)
                eventually(lambda: spooled_requests(spool) > 0)  # being sent, and not answered
                asked.ask(served, 1)
                assert served.stop() == 0
                assert spooled_requests(spool) == asked.told["requests"] // 3 * 2
            finally:
                plane.process.send_signal(signal.SIGCONT)
        assert not [line for line in served.errors if "Traceback" in line]
        with node(state, *words):
            require_equal(plane, key, asked)


def test_the_environment_s_base_and_key_make_a_node_report(tmp_path: Path):
    asked = Asked()
    with upping(tmp_path / "data") as plane:
        key = printed_key(plane)
        env = {"OCTOMIL_API_BASE": plane.url, "OCTOMIL_API_KEY": key}
        with node(tmp_path / "state", **env) as served:
            asked.ask(served, 1)
            require_equal(plane, key, asked)
            with node(tmp_path / "state", **env) as other:  # of the same folder
                assert other.get("/health").status_code == 200
                (line,) = [each for each in other.lines if "serves without reports" in each]
                assert "is used by another" in line
    assert plane.process.returncode == 0


@pytest.mark.parametrize("named", ["OCTOMIL_API_BASE", "OCTOMIL_API_KEY", None])
def test_a_node_that_is_not_told_to_tells_nobody(tmp_path: Path, named: str | None):
    with upping(tmp_path / "data") as plane:
        key = printed_key(plane)
        env = {"OCTOMIL_API_BASE": plane.url, "OCTOMIL_API_KEY": key}
        with node(tmp_path / "state", **({named: env[named]} if named else {})) as served:
            assert served.chat("hi").status_code == 200
        devices = httpx.get(f"{plane.url}{API}/devices", headers=bearer(key), timeout=120)
        assert devices.json()["devices"] == []
    assert not (tmp_path / "state" / "device").exists()
