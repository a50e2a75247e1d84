"""One session of the published client, told step by step as lines of JSON.

Run by an interpreter that has `octomil-sdk`: `python session.py URL KEY FOLDER`.
"""

import asyncio
import json
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from octomil.python.octomil import auth
from octomil.python.octomil.api_client import OctomilClientError, _ApiClient
from octomil.python.octomil.registry import ModelRegistry

from octomil.control import OctomilControl

URL, KEY, FOLDER = sys.argv[1], sys.argv[2], Path(sys.argv[3])
API = f"{URL}/api/v1"


def step(name: str, call: Callable[[], Any]) -> Any:
    """Do something, and tell what came of it; the script goes on whatever that is."""
    try:
        value = call()
    except OctomilClientError as error:
        print(json.dumps({"step": name, "refused": str(error)}))
        return None
    except Exception:  # noqa: BLE001 - told to the test, which fails by it
        print(json.dumps({"step": name, "raised": traceback.format_exc()}))
        return None
    print(json.dumps({"step": name, "value": value}, default=vars))
    return value


def registry_calls() -> None:
    """Everything that `ModelRegistry` can be asked."""
    registry = ModelRegistry(lambda: KEY, api_base=API)
    file = FOLDER / "weights.safetensors"
    made = step(
        "ensure_model", lambda: registry.ensure_model("mice", "pytorch", "vision", "of mice")
    )
    model = made["id"]
    step("ensure_model again", lambda: registry.ensure_model("mice", "pytorch", "vision"))
    step("resolve_model_id", lambda: registry.resolve_model_id("mice:q8_0"))
    step("resolve_model_id unknown", lambda: registry.resolve_model_id("nobody"))
    step("list_models", lambda: registry.list_models(framework="pytorch", use_case="vision"))
    step("get_model", lambda: registry.get_model(model))
    step("update_model", lambda: registry.update_model(model, description="of many mice"))
    uploaded = step(
        "upload_version_from_path",
        lambda: registry.upload_version_from_path(
            model, str(file), "1.0.0", description="first", architecture="mlp", input_dim=2
        ),
    )
    kept = uploaded["files"][0]
    step(
        "create_version",
        lambda: registry.create_version(
            model, "1.1.0", kept["digest"], kept["format"],
            kept["digest"], kept["size_bytes"], metrics={"accuracy": 0.5},
        ),
    )  # fmt: skip
    step("publish_version", lambda: registry.publish_version(model, "1.0.0"))
    step("publish_version second", lambda: registry.publish_version(model, "1.1.0"))
    step("list_versions", lambda: registry.list_versions(model))
    step("list_versions published", lambda: registry.list_versions(model, "published"))
    step("get_latest_version", lambda: registry.get_latest_version(model))
    step("get_latest_version_info", lambda: registry.get_latest_version_info(model))
    step("get_version", lambda: registry.get_version(model, "1.0.0"))
    step(
        "update_version_metrics",
        lambda: registry.update_version_metrics(model, "1.0.0", {"accuracy": 0.9}),
    )
    step("download", lambda: registry.download(model, "1.0.0", str(FOLDER), format="safetensors"))
    step("download for a device", lambda: registry.download(
        model, "1.0.0", str(FOLDER), device_type="pixel_8"))  # fmt: skip
    step("optimize", lambda: registry.optimize(model, ["pixel_8"]))
    step("get_device_config", lambda: registry.get_device_config(model, "pixel_8"))
    step("check_compatibility", lambda: registry.check_compatibility(model, ["pixel_8"]))
    rollout = step("create_rollout", lambda: registry.create_rollout(model, "1.0.0", 100))
    rollouts = registry.rollouts
    step("rollouts.list", lambda: rollouts.list(model, "active"))
    step("rollouts.list_active", lambda: rollouts.list_active(model))
    step("rollouts.get", lambda: rollouts.get(model, rollout["id"]))
    step("rollouts.get_affected_devices",
         lambda: rollouts.get_affected_devices(model, rollout["id"]))  # fmt: skip
    device_calls()
    step("rollouts.delete", lambda: rollouts.delete(model, rollout["id"], force=True))
    step("deprecate_version", lambda: registry.deprecate_version(model, "1.1.0"))
    step("delete_version", lambda: registry.delete_version(model, "1.0.0"))
    step("not found", lambda: registry.get_model("nobody"))
    other = registry.ensure_model("brief", "onnx", "vision")
    step("delete_model", lambda: registry.delete_model(other["id"]))


def device_calls() -> None:
    """A device by the organisation's key, and one by tokens of its own."""
    control = OctomilControl(_ApiClient(lambda: KEY, API), "default")
    step("register", lambda: control.register("box-1"))
    step("register again", lambda: control.register("box-1"))
    step("heartbeat", control.heartbeat)
    step("refresh", control.refresh)
    kept: dict[tuple[str, str], str] = {}
    auth.keyring = SimpleNamespace(  # the machine's own need not be there
        set_password=lambda service, name, value: kept.update({(service, name): value}),
        get_password=lambda service, name: kept.get((service, name)),
        delete_password=lambda service, name: kept.pop((service, name)),
    )
    client = auth.DeviceAuthClient(base_url=URL, org_id="default", device_identifier="box-2")
    told = ("org_id", "device_identifier", "scopes", "token_type")

    def shown(state: auth.DeviceTokenState) -> dict[str, Any]:
        return {name: getattr(state, name) for name in told}

    step(
        "device-auth bootstrap",
        lambda: shown(asyncio.run(client.bootstrap(bootstrap_bearer_token=KEY))),
    )
    step("device-auth refresh", lambda: shown(asyncio.run(client.refresh())))
    token = client.get_access_token_sync()
    own = OctomilControl(_ApiClient(lambda: token, API), "default")
    step("register by token", lambda: own.register("box-2"))
    step("refresh by token", own.refresh)
    step("device-auth revoke", lambda: asyncio.run(client.revoke()))
    step("refresh once revoked", own.refresh)


if __name__ == "__main__":
    registry_calls()
