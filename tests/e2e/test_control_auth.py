"""Keys, revocation and the audit with processes: the command line, and two replicas."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.control import API, bearer, printed_key, upping
from support.postgres import fresh_database
from support.serving import ServeProcess
from support.waiting import eventually


def octomil(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "octomil.cli.main", *words],
        capture_output=True, text=True, timeout=120, check=False, env=os.environ | env,
    )  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("up") / "data"


@pytest.fixture(scope="module")
def served(data: Path) -> Iterator[ServeProcess]:
    with upping(data) as served:
        yield served


@pytest.fixture(scope="module")
def env(served: ServeProcess) -> dict[str, str]:
    return {"OCTOMIL_API_BASE": served.url, "OCTOMIL_API_KEY": printed_key(served)}


def status(served: ServeProcess, key: str) -> int:
    return served.get(f"{API}/devices", headers=bearer(key)).status_code


def test_a_key_is_made_listed_rotated_and_revoked(served: ServeProcess, env: dict[str, str]):
    made = octomil(
        "keys", "create", "ci", "--scope", "devices:read", "--expires-in-days", "7", **env
    )
    key = made.stdout.strip()
    assert (made.returncode, status(served, key)) == (0, 200)

    listed = octomil("keys", "list", **env)
    (row,) = [line for line in listed.stdout.splitlines() if line.startswith("ci ")]
    assert key not in listed.stdout + made.stderr
    assert key[:10] in row
    key_id = row.split()[-1]

    rotated = octomil("keys", "rotate", key_id, "--grace-hours", "0", "--json", **env)
    following = json.loads(rotated.stdout)
    assert (status(served, key), status(served, following["key"])) == (401, 200)

    revoked = octomil("keys", "revoke", following["id"], **env)
    assert revoked.stdout == f"ci ({following['id']}) is revoked.\n"
    assert status(served, following["key"]) == 401
    everything = json.loads(octomil("keys", "list", "--all", "--json", **env).stdout)
    states = {each["id"]: each["status"] for each in everything}
    assert (states[key_id], states[following["id"]]) == ("expired", "revoked")


def local(data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Make a key on the machine, where nobody has one."""
    env = {"OCTOMIL_API_KEY": "", "OCTOMIL_API_BASE": "http://127.0.0.1:9"}
    return octomil("keys", "create", "rescue", "--data-dir", str(data), *words, **env)


def test_who_has_lost_every_key_makes_one_on_the_machine(tmp_path: Path):
    """While the control plane runs, and while it does not."""
    data = tmp_path / "data"
    with upping(data) as served:
        made = local(data, "--admin")
        assert (made.returncode, made.stderr.count("this is the only time")) == (0, 1)
        admin = bearer(made.stdout.strip())
        assert served.post(f"{API}/organisations", {"id": "acme"}, headers=admin).status_code == 201
        acts = served.get(f"{API}/audit", headers=admin).json()["entries"]
        listed = served.get(f"{API}/keys", headers=admin).json()["keys"]
    later = local(data, "--scope", "devices:read", "--organisation", "acme", "--json")
    key = json.loads(later.stdout)
    with upping(data) as served:
        assert status(served, key["key"]) == 200
    verified = octomil("audit", "verify", str(data))

    (act,) = [act for act in acts if act["actor"] == "local"]
    assert (act["operation"], act["details"]["name"]) == ("api_key.create", "rescue")
    assert {tuple(each["scopes"]) for each in listed} == {("*", "installation:admin")}
    assert key["scopes"] == ["devices:read"]
    assert verified.returncode == 0, verified.stdout


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--admin", "--scope", "devices:read"), "--scope SCOPE, or --admin"),
        ((), "--scope SCOPE, or --admin"),
        (("--scope", "device:read"), "did you mean 'devices:read'"),
        (("--admin", "--organisation", "acme"), "no organisation 'acme'"),
        (("--admin", "--expires-in-days", "5000"), "expires_in_seconds"),
        (("--admin", "--expires-in-days", "99999999"), "expires_in_seconds"),
        (("--scope", "x" * 65), "scopes.0"),
    ],
)
def test_a_mistake_on_the_machine_is_explained(
    data: Path, served: ServeProcess, words: tuple[str, ...], complaint: str
):
    done = local(data, *words)

    assert (done.returncode != 0, done.stdout) == (True, "")
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["", "a\x1b[31m\nb", "x" * 256], ids=["no", "control", "long"])
def test_a_name_that_the_api_does_not_take_is_taken_nowhere(
    data: Path, served: ServeProcess, name: str
):
    done = octomil("keys", "create", name, "--data-dir", str(data), "--admin")

    assert (done.returncode, done.stdout) == (1, "")
    assert "name: " in done.stderr
    assert "\x1b" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_is_none_of_a_control_plane_makes_no_key(tmp_path: Path):
    done = local(tmp_path, "--admin")

    assert done.returncode == 1
    assert "no folder of a control plane" in done.stderr


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("keys", "create", "x", "--scope", "device:read"), "did you mean 'devices:read'"),
        (("keys", "create", "x"), "--scope"),
        (("keys", "create", "x", "--admin", "--organisation", "y"), "goes with --data-dir"),
        (("keys", "revoke", "key_nobody"), "there is no key"),
        (("keys", "rotat", "x"), "did you mean `rotate`"),
    ],
)
def test_mistakes_are_explained(env: dict[str, str], words: tuple[str, ...], complaint: str):
    done = octomil(*words, **env)

    assert done.returncode != 0
    assert complaint in done.stderr
    assert done.stdout == ""


def test_the_server_prints_no_key_or_token_twice(served: ServeProcess, env: dict[str, str]):
    """Not in its log either, whatever is asked with it."""
    admin = bearer(env["OCTOMIL_API_KEY"])
    key = served.post(f"{API}/keys", {"name": "x", "scopes": ["*"]}, headers=admin).json()["key"]
    token = served.post(f"{API}/device-auth/bootstrap-tokens", {"name": "x"}, headers=admin).json()[
        "token"
    ]
    body = {"device_identifier": "box-9"}
    tokens = served.post(f"{API}/device-auth/bootstrap", body, headers=bearer(token)).json()
    secrets = [key, token, tokens["access_token"], tokens["refresh_token"]]
    for secret in secrets:
        served.get(f"{API}/devices?cursor={secret}", headers=bearer(secret))
        served.get(f"{API}/{secret}", headers=bearer(secret + "x"))
        served.post(f"{API}/device-auth/refresh", {"refresh_token": secret + "x"})

    printed = "\n".join([*served.lines, *served.errors])
    assert [secret for secret in secrets if secret in printed] == []
    assert printed.count(env["OCTOMIL_API_KEY"]) == 1


def test_the_audit_is_verified_while_the_server_runs_and_a_damaged_row_is_named(tmp_path: Path):
    data = tmp_path / "data"
    with upping(data) as served:
        key = printed_key(served)
        for number in range(3):
            served.post(
                f"{API}/devices/register", {"device_identifier": f"b{number}"}, headers=bearer(key)
            )
        whole = octomil("audit", "verify", str(data))
        with sqlite3.connect(data / "octomil.sqlite3") as database:
            database.execute(
                "UPDATE audit SET entry = replace(entry, 'b1', 'b7') WHERE sequence = 3"
            )
        database.close()
        edited = octomil("audit", "verify", str(data), "--json")

    assert (whole.returncode, whole.stdout.splitlines()[1].split()) == (0, ["default", "4", "none"])
    found = json.loads(edited.stdout)
    assert (edited.returncode, found["ok"]) == (1, False)
    (verdict,) = found["organisations"]
    assert "record 3 " in verdict["problem"]


def test_a_revoked_device_and_key_are_out_in_every_replica(tmp_path: Path, postgres: str):
    """Two processes on one Postgres: what one is told, the other heeds by itself."""
    with fresh_database(postgres) as url:
        env = {"DATABASE_URL": url}
        with upping(tmp_path / "a", env=env) as first, upping(tmp_path / "b", env=env) as second:
            admin = bearer(printed_key(first))
            body = {"device_identifier": "box-1"}
            tokens = first.post(f"{API}/device-auth/bootstrap", body, headers=admin).json()
            made = first.post(f"{API}/keys", {"name": "x", "scopes": ["*"]}, headers=admin).json()
            path = f"{API}/devices/{tokens['device_id']}/assignments"

            def device_status(replica: ServeProcess) -> int:
                return replica.get(path, headers=bearer(tokens["access_token"])).status_code

            before = [device_status(second), status(second, made["key"])]
            first.post(f"{API}/devices/{tokens['device_id']}/revoke", headers=admin)
            first.post(f"{API}/keys/{made['id']}/revoke", headers=admin)

            assert before == [200, 200]
            assert [device_status(first), status(first, made["key"])] == [401, 401]
            eventually(lambda: device_status(second) == 401)
            eventually(lambda: status(second, made["key"]) == 401)


def test_the_signing_key_is_rotated_and_listed(served: ServeProcess, env: dict[str, str]):
    rotated = octomil("keys", "rotate-signing", "--json", **env)
    again = octomil("keys", "rotate-signing", **env)
    listed = octomil("keys", "signing", **env)

    second = json.loads(rotated.stdout)
    first, third = second["endorsement"]["keyid"], again.stdout.split()[0]
    assert again.stdout == f"{third} signs from now on; {second['keyid']} has endorsed it.\n"
    _, *rows = [line.split() for line in listed.stdout.splitlines()]
    assert [row[:2] for row in rows] == [
        [first, "retired"], [second["keyid"], "retired"], [third, "active"]
    ]  # fmt: skip
    assert rows[2][-1] == second["keyid"]
