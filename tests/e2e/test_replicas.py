"""Two `octomil up` on one Postgres, one bucket and one Redis: what one did holds at the other."""

import hashlib
import json
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path

import httpx
import pytest

from octomil.sdk import uploads
from octomil.sdk.model_registry import ModelRegistry
from octomil.sdk.resources import files
from support.control import API, bearer, printed_key, upping
from support.model_files import safetensors_file
from support.postgres import fresh_database
from support.redis import redis_server
from support.round_robin import RoundRobin, round_robin
from support.s3 import BUCKET
from support.serving import ServeProcess
from support.waiting import eventually
from support.webhook_receiver import receiving

pytestmark = pytest.mark.slow

DEVICE = {"device_identifier": "box-1"}


@dataclass(frozen=True)
class Replicas:
    """Two running control planes that share everything but their data folders.

    Attributes:
        key: good for everything there.
        env: what another one needs to be a replica of theirs.
    """

    first: ServeProcess
    second: ServeProcess
    key: str
    env: dict[str, str]

    def __iter__(self) -> Iterator[ServeProcess]:
        return iter((self.first, self.second))

    @property
    def headers(self) -> dict[str, str]:
        return bearer(self.key)


@contextmanager
def started(
    folder: Path, env: dict[str, str], count: int, *flags: str
) -> Iterator[list[ServeProcess]]:
    """Start replicas, all at once."""
    with ExitStack() as stack, ThreadPoolExecutor(count) as pool:
        places = [upping(folder / str(n), *flags, env=env) for n in range(count)]
        begun = [pool.submit(place.__enter__) for place in places]
        for place in places:
            stack.push(place.__exit__)
        yield [each.result() for each in begun]


@pytest.fixture(scope="module")
def replicas(
    postgres: str, s3: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Replicas]:
    folder = tmp_path_factory.mktemp("replicas")
    with fresh_database(postgres) as url, redis_server() as redis:
        env = {
            **s3,
            "DATABASE_URL": url,
            "OCTOMIL_BLOB_URL": f"s3://{BUCKET}/{folder.name}",
            "REDIS_URL": redis,
            "OCTOMIL_WEBHOOKS_PRIVATE": "1",
        }
        with started(folder, env, 2) as (first, second):
            keys = [key for key in map(printed_key, (first, second)) if key is not None]
            assert len(keys) == 1  # one of the two made the database, and the key
            yield Replicas(first, second, keys[0], env)


@pytest.fixture
def proxy(replicas: Replicas) -> Iterator[RoundRobin]:
    with round_robin([served.url for served in replicas]) as proxy:
        yield proxy


@pytest.fixture
def registry(
    proxy: RoundRobin, replicas: Replicas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ModelRegistry]:
    """The SDK behind the proxy; files of a few KiB are large to it."""
    monkeypatch.setenv("OCTOMIL_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(files, "RESUMABLE_BYTES", 1 << 10)
    monkeypatch.setattr(uploads, "PIECE_BYTES", 1 << 12)
    with ModelRegistry(api_key=replicas.key, api_base=proxy.url) as registry:
        yield registry


@pytest.fixture
def weights(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A file of some pieces; no other test has the same."""
    salt = float(sum(request.node.name.encode()))
    path = tmp_path / "weights.safetensors"
    path.write_bytes(safetensors_file(w=[salt, *map(float, range(5000))]))
    return path


def test_those_that_start_at_once_on_an_empty_database_make_it_once(postgres: str, tmp_path: Path):
    with fresh_database(postgres) as url, started(tmp_path, {"DATABASE_URL": url}, 3) as three:
        keys = [printed_key(served) for served in three]
        key = next(key for key in keys if key is not None)
        seen = [served.get(f"{API}/keys", headers=bearer(key)).json() for served in three]

    assert keys.count(None) == 2
    assert [[each["name"] for each in told["keys"]] for told in seen] == [["admin"]] * 3


def test_a_device_that_came_in_at_one_polls_at_the_other(replicas: Replicas):
    ids = {
        served.post(f"{API}/devices/register", DEVICE, headers=replicas.headers).json()["id"]
        for served in replicas
    }
    bootstrap = f"{API}/device-auth/bootstrap"
    tokens = [
        served.post(bootstrap, DEVICE, headers=replicas.headers).json() for served in replicas
    ]
    path = f"{API}/devices/{ids.pop()}/assignments"
    polls = [
        served.get(path, headers=bearer(each["access_token"])).status_code
        for served in replicas
        for each in tokens
    ]

    assert not ids  # the same identifier was the same device
    assert polls == [200] * 4


def test_what_was_revoked_at_one_is_refused_by_the_other(replicas: Replicas):
    key = replicas.first.post(
        f"{API}/keys", {"name": "short-lived", "scopes": ["devices:read"]}, headers=replicas.headers
    ).json()
    device = {"device_identifier": "stolen"}
    tokens = replicas.first.post(
        f"{API}/device-auth/bootstrap", device, headers=replicas.headers
    ).json()

    def statuses() -> list[int]:
        path = f"{API}/devices/{tokens['device_id']}"
        asked = ((f"{path}/assignments", tokens["access_token"]), (path, key["key"]))
        return [
            replicas.second.get(path, headers=bearer(shown)).status_code for path, shown in asked
        ]

    assert statuses() == [200, 200]
    for path in (f"keys/{key['id']}/revoke", f"devices/{tokens['device_id']}/revoke"):
        assert replicas.first.post(f"{API}/{path}", {}, headers=replicas.headers).is_success
    eventually(lambda: statuses() == [401, 401])


def test_what_one_published_is_had_from_the_other(replicas: Replicas, weights: Path):
    model = replicas.first.post(
        f"{API}/models", {"name": "published"}, headers=replicas.headers
    ).json()["id"]
    versions = f"{API}/models/{model}/versions"
    with weights.open("rb") as file:
        made = httpx.post(
            f"{replicas.first.url}{versions}/upload",
            data={"version": "1.0.0"}, files={"file": file}, headers=replicas.headers, timeout=120,
        )  # fmt: skip
    assert made.status_code == 201, made.text
    published = replicas.second.post(f"{versions}/1.0.0/publish", {}, headers=replicas.headers)
    assert published.status_code == 200, published.text
    place = replicas.first.get(f"{versions}/1.0.0/download-url", headers=replicas.headers).json()
    signed = place["url"].removeprefix(replicas.first.url)

    assert replicas.second.get(signed).content == weights.read_bytes()
    manifests = [
        served.get(f"{versions}/1.0.0/manifest", headers=replicas.headers).json()
        for served in replicas
    ]
    assert manifests[0] == manifests[1]


def test_the_sdk_works_behind_a_proxy_that_takes_turns(
    registry: ModelRegistry, proxy: RoundRobin, replicas: Replicas, weights: Path, tmp_path: Path
):
    model = registry.ensure_model("in-turns", "pytorch", "tests").id
    made = registry.upload_version_from_path(model, weights, "1.0.0")
    registry.publish_version(model, "1.0.0")
    got = registry.download(model, "1.0.0", tmp_path / "again")

    assert made.status == "ready"
    assert got.read_bytes() == weights.read_bytes()
    assert min(proxy.served[served.url] for served in replicas) >= 5


def test_an_upload_outlives_the_replica_that_began_it(
    replicas: Replicas, weights: Path, tmp_path: Path
):
    content = weights.read_bytes()
    half = len(content) // 2
    with upping(tmp_path / "third", env=replicas.env) as third:
        begun = third.post(f"{API}/uploads", {"size_bytes": len(content)}, headers=replicas.headers)
        path = f"{API}/uploads/{begun.json()['id']}"
        patched(third, path, 0, content[:half], replicas.headers)
        third.process.send_signal(signal.SIGKILL)
        assert third.process.wait(timeout=120) == -signal.SIGKILL

    assert replicas.first.get(path, headers=replicas.headers).json()["offset"] == half
    patched(replicas.first, path, half, content[half:], replicas.headers)
    sha256 = hashlib.sha256(content).hexdigest()
    done = replicas.second.post(f"{path}/complete", {"sha256": sha256}, headers=replicas.headers)
    assert done.json()["storage_path"] == f"sha256:{sha256}"


def patched(
    served: ServeProcess, path: str, offset: int, data: bytes, headers: dict[str, str]
) -> None:
    answer = httpx.patch(
        served.url + path, content=data, headers={**headers, "Upload-Offset": str(offset)},
        timeout=120,
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    assert answer.json()["offset"] == offset + len(data)


def test_a_webhook_is_told_once_while_nobody_dies(replicas: Replicas):
    names = [f"told-{number}" for number in range(24)]
    with receiving() as receiver:
        hook = replicas.first.post(
            f"{API}/webhooks",
            {"url": receiver.url, "events": ["model.created"]},
            headers=replicas.headers,
        ).json()
        turns = chain.from_iterable(repeat(list(replicas)))
        for name, served in zip(names, turns, strict=False):
            assert served.post(f"{API}/models", {"name": name}, headers=replicas.headers).is_success

        def outcomes() -> list[tuple[str, int]]:
            path = f"{API}/webhooks/{hook['id']}/deliveries"
            told = replicas.second.get(path, headers=replicas.headers).json()["deliveries"]
            return [(each["state"], each["tries"]) for each in told]

        eventually(lambda: [state for state, _ in outcomes()] == ["delivered"] * len(names))
        tries = sum(count for _, count in outcomes())
        told = [json.loads(message.body)["data"]["name"] for message in receiver.received]

    assert set(told) == set(names)
    assert len(told) <= tries  # as many as names, unless this machine kept a try waiting too long


def test_a_limit_holds_for_all_of_them_together(replicas: Replicas, tmp_path: Path):
    with started(tmp_path, replicas.env, 2, "--rate-limit", "4/h") as (one, other):

        def statuses() -> list[int]:
            wish = {"name": "eager", "scopes": ["models:read"]}
            made = replicas.first.post(f"{API}/keys", wish, headers=replicas.headers)
            shown = bearer(made.json()["key"])
            turns = (one, other) * 3
            return [served.get(f"{API}/models", headers=shown).status_code for served in turns]

        # While Redis is slow each counts alone, and none of them is refused anything.
        eventually(lambda: statuses() == [200] * 4 + [429] * 2)
