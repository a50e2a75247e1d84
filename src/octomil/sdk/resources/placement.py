"""Where models run for devices, and how fast devices are."""

from collections.abc import Mapping
from typing import Any, Literal

from octomil.http.api import path_to
from octomil.http.records import Record
from octomil.sdk.resources.base import Resource

Preference = Literal["device", "cloud", "cheapest", "fastest"]


class Placement(Resource):
    """What can be asked of the routing engine; `registry.placement`."""

    def decide(
        self,
        model_id: str,
        model_params: int,
        model_size_mb: float,
        device_capabilities: Mapping[str, Any],
        prefer: Preference = "device",
    ) -> Record:
        """Decide whether a device or the cloud runs a model.

        Args:
            model_id: whatever you call the model; statistics go by it.
            model_params: how many parameters it has.
            model_size_mb: size of its file, in megabytes of a million bytes.
            device_capabilities: `platform`, `total_memory_mb`, `gpu_available`, `npu_available`.
            prefer: what is wanted most.

        Returns:
            `target`, `format`, `engine`, `quantization`, `reason`, `fallback_target` and more, as
            `POST /route` is documented.

        Raises:
            UnprocessableError: a value makes no sense; `details["fields"]` names it.
            OctomilClientError: the control plane refuses, or does not answer.
        """
        body = {
            "model_id": model_id,
            "model_params": model_params,
            "model_size_mb": model_size_mb,
            "device_capabilities": dict(device_capabilities),
            "prefer": prefer,
        }
        decided: Record = self._api.post("/route", body)
        return decided

    def stats(self, model_id: str) -> Record:
        """Return how often each target was decided on for a model, and why.

        Raises:
            NotFoundError: nobody asked about it, and no model has that id or name.
            OctomilClientError: as in :meth:`decide`.
        """
        found: Record = self._api.get(path_to("route", "stats", model_id))
        return found

    def routing_policy(self) -> Record:
        """Return what published clients route queries by. Raises as :meth:`decide` does."""
        found: Record = self._api.get("/route/policy")
        return found

    def put_profile(self, device_id: str, profile: Mapping[str, Any]) -> Record:
        """Keep what a device measured of itself, in place of what it measured before.

        Args:
            device_id: the device.
            profile: as `PUT /devices/{device_id}/profile` is documented; `octomil device profile`
                makes one.

        Raises:
            NotFoundError: there is no such device.
            OctomilClientError: as in :meth:`decide`.
        """
        kept: Record = self._api.put(path_to("devices", device_id, "profile"), dict(profile))
        return kept

    def get_profile(self, device_id: str) -> Record:
        """Return what a device measured of itself. Raises as :meth:`put_profile` does."""
        found: Record = self._api.get(path_to("devices", device_id, "profile"))
        return found
