"""What an organisation can own, made over HTTP: one function for each name in a path.

A new resource whose id stands in a path adds its own; without it, the sweep over all routes fails.
They are made in this order, each with those before it at hand.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from support.control import API
from support.model_files import safetensors_file
from support.registry import begun, new_model, sent

Made = dict[str, str]


NAMES = ("box-1", "third", "ci", "line 1", "mnist", "https://example.com/hook")
"""What those that are made are called, beside their ids."""


async def make_all(owner: httpx.AsyncClient) -> Made:
    """Make one of each, in an organisation; a value for each name that occurs in a path."""
    made: Made = {}
    for name, make in MAKERS.items():
        made[name] = await make(owner, made)
    return made


async def _post(owner: httpx.AsyncClient, path: str, **options: Any) -> Any:
    answer = await owner.post(API + path, **options)
    assert answer.is_success, answer.text
    return answer.json()


async def _device(owner: httpx.AsyncClient, _made: Made) -> str:
    """One that has measured itself."""
    made = await _post(owner, "/devices/register", json={"device_identifier": "box-1"})
    profile = {"platform": "linux", "total_memory_mb": 4096, "accelerator": "cpu", "models": []}
    answer = await owner.put(f"{API}/devices/{made['id']}/profile", json=profile)
    assert answer.is_success, answer.text
    return str(made["id"])


async def _organisation(owner: httpx.AsyncClient, _made: Made) -> str:
    return (await _post(owner, "/organisations", json={"id": "third"}))["id"]


async def _key(owner: httpx.AsyncClient, _made: Made) -> str:
    return (await _post(owner, "/keys", json={"name": "ci", "scopes": ["devices:read"]}))["id"]


async def _bootstrap_token(owner: httpx.AsyncClient, _made: Made) -> str:
    return (await _post(owner, "/device-auth/bootstrap-tokens", json={"name": "line 1"}))["id"]


async def _webhook(owner: httpx.AsyncClient, _made: Made) -> str:
    return (await _post(owner, "/webhooks", json={"url": "https://example.com/hook"}))["id"]


async def _model(owner: httpx.AsyncClient, _made: Made) -> str:
    return await new_model(owner)


async def _version(owner: httpx.AsyncClient, made: Made) -> str:
    """One that is published; the webhook made before it is told."""
    answer = await sent(owner, made["model_id"], safetensors_file(w=[1.0]))
    assert answer.is_success, answer.text
    await _post(owner, f"/models/{made['model_id']}/versions/1.0.0/publish", json={})
    return "1.0.0"


async def _alias(owner: httpx.AsyncClient, made: Made) -> str:
    path = f"{API}/models/{made['model_id']}/aliases/production"
    answer = await owner.put(path, json={"version": made["version"]})
    assert answer.is_success, answer.text
    return "production"


async def _rollout(owner: httpx.AsyncClient, made: Made) -> str:
    body = {"version": made["version"], "rollout_percentage": 100, "start_immediately": True}
    return (await _post(owner, f"/models/{made['model_id']}/rollouts", json=body))["id"]


async def _upload(owner: httpx.AsyncClient, _made: Made) -> str:
    return await begun(owner, 10)


async def _delivery(owner: httpx.AsyncClient, made: Made) -> str:
    answer = await owner.get(f"{API}/webhooks/{made['webhook_id']}/deliveries")
    return str(answer.json()["deliveries"][0]["id"])


async def _word(_owner: httpx.AsyncClient, _made: Made) -> str:
    return "phone"  # in paths that are not served; nobody's own


MAKERS: dict[str, Callable[[httpx.AsyncClient, Made], Awaitable[str]]] = {
    "device_id": _device,
    "organisation_id": _organisation,
    "key_id": _key,
    "bootstrap_token_id": _bootstrap_token,
    "webhook_id": _webhook,
    "model_id": _model,
    "version": _version,
    "alias": _alias,
    "rollout_id": _rollout,
    "upload_id": _upload,
    "delivery_id": _delivery,
    **dict.fromkeys(
        ("device_type", "experiment_id", "federation_id", "query_id", "round_id"), _word
    ),
}
