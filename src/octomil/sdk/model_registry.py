"""`octomil.ModelRegistry`: models, their versions, their files, and their way to the devices."""

from typing import Any

from octomil.http.records import Record
from octomil.sdk.connected import Connected
from octomil.sdk.resources.aliases import AliasCalls
from octomil.sdk.resources.files import FileCalls
from octomil.sdk.resources.lineage import LineageCalls
from octomil.sdk.resources.models import ModelCalls
from octomil.sdk.resources.versions import VersionCalls


class ModelRegistry(Connected, ModelCalls, VersionCalls, FileCalls, LineageCalls, AliasCalls):
    """The control plane's model registry.

    Args:
        api_key: else `OCTOMIL_API_KEY`.
        org_id: else `OCTOMIL_ORG_ID`, else `default`.
        api_base: else `OCTOMIL_API_BASE`, else `http://127.0.0.1:8000/api/v1`.
        show_progress: bars for uploads and downloads; None for those of a terminal only.

    Raises:
        ConfigurationError: there is no key, or the address is none.
    """

    def __init__(
        self,
        api_key: str | None = None,
        org_id: str | None = None,
        api_base: str | None = None,
        *,
        show_progress: bool | None = None,
    ) -> None:
        super().__init__(api_key, org_id, api_base)
        self._show_progress = show_progress

    def resolve_version(self, model_id: str, reference: str | None = None) -> str:
        """Return the number of a version.

        Args:
            model_id: the model.
            reference: `1.2.0` for itself, `@production` for where an alias points, None for the
                latest.

        Raises:
            NotFoundError: there is no such alias, or nothing is published.
            OctomilClientError: the control plane refuses, or does not answer.
        """
        if reference is None:
            return self.get_latest_version(model_id)
        if reference.startswith("@"):
            return str(self.get_alias(model_id, reference[1:]).version)
        return reference

    def create_rollout(
        self,
        model_id: str,
        version: str,
        rollout_percentage: float = 10,
        target_percentage: float = 100,
        increment_step: float = 10,
        *,
        start_immediately: bool = True,
        **options: Any,
    ) -> Record:
        """Begin to bring a version to the devices, at once; as `rollouts.create` does."""
        return self.rollouts.create(
            model_id,
            version,
            rollout_percentage,
            target_percentage,
            increment_step,
            start_immediately=start_immediately,
            **options,
        )

    def deploy_version(self, model_id: str, version: str, **options: Any) -> Record:
        """Bring a version to all devices; options as in :meth:`create_rollout`."""
        return self.create_rollout(model_id, version, **{"rollout_percentage": 100, **options})
