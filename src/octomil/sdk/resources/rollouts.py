"""Rollouts: a version's way to the devices."""

from collections.abc import Sequence
from typing import Any

from octomil.http.api import path_to
from octomil.http.records import Page, Record
from octomil.sdk.resources.base import Resource


class Rollouts(Resource):
    """What can be done with rollouts; `client.rollouts`."""

    def create(
        self,
        model_id: str,
        version: str,
        rollout_percentage: float = 10,
        target_percentage: float = 100,
        increment_step: float = 10,
        start_immediately: bool = False,
        **options: Any,
    ) -> Record:
        """Begin to bring a version to a share of the devices.

        Args:
            model_id: the model.
            version: a published version of it.
            rollout_percentage: share of the devices to begin with, 0 to 100.
            target_percentage: share to end with.
            increment_step: percentage points that each step adds.
            start_immediately: offer it now; else `start` does.
            **options: `automatic=False` to take every step by hand; `health_window_s`, `dwell_s`
                and `patience_s` in seconds; `pacing` and `gates` as mappings.

        Raises:
            NotFoundError: there is no such model or version.
            ConflictError: another rollout of the model is under way, or the version is not
                published, or blocked.
            OctomilClientError: the control plane refuses, or does not answer.
        """
        body = {
            "version": version,
            "rollout_percentage": rollout_percentage,
            "target_percentage": target_percentage,
            "increment_step": increment_step,
            "start_immediately": start_immediately,
            **options,
        }
        made: Record = self._api.post(_path(model_id), body)
        return made

    def list(
        self, model_id: str, status_filter: str | None = None, limit: int = 100, offset: int = 0
    ) -> Sequence[Record]:
        """Return a model's rollouts, newest first. Raises as :meth:`create` does."""
        found: Sequence[Record] = self._api.get(
            _path(model_id), status_filter=status_filter, limit=limit, offset=offset
        )
        return found

    def list_active(self, model_id: str) -> Sequence[Record]:
        """Return a model's rollouts under way, active or paused. Raises as :meth:`create` does."""
        found: Sequence[Record] = self._api.get(_path(model_id, "active"))
        return found

    def get(self, model_id: str, rollout_id: str) -> Record:
        """Return a rollout.

        Raises:
            NotFoundError: there is none with that id.
            OctomilClientError: as in :meth:`create`.
        """
        found: Record = self._api.get(_path(model_id, rollout_id))
        return found

    def start(self, model_id: str, rollout_id: str, reason: str | None = None) -> Record:
        """Offer the version to the first devices. Raises as :meth:`get` does."""
        return self._act(model_id, rollout_id, "start", reason=reason)

    def pause(self, model_id: str, rollout_id: str, reason: str | None = None) -> Record:
        """Offer it to nobody new; who has it keeps it. Raises as :meth:`get` does."""
        return self._act(model_id, rollout_id, "pause", reason=reason)

    def resume(self, model_id: str, rollout_id: str, reason: str | None = None) -> Record:
        """Go on after a pause. Raises as :meth:`get` does."""
        return self._act(model_id, rollout_id, "resume", reason=reason)

    def rollback(self, model_id: str, rollout_id: str, reason: str | None = None) -> Record:
        """Take it from every device; each goes back to what was rolled out before.

        Raises as :meth:`get` does.
        """
        return self._act(model_id, rollout_id, "rollback", reason=reason)

    def advance(
        self,
        model_id: str,
        rollout_id: str,
        custom_increment: float | None = None,
        reason: str | None = None,
    ) -> Record:
        """Take the next step, of `custom_increment` points if given. Raises as :meth:`get` does."""
        given = {"custom_increment": custom_increment, "reason": reason}
        return self._act(model_id, rollout_id, "advance", **given)

    def update_percentage(
        self, model_id: str, rollout_id: str, percentage: float, reason: str | None = None
    ) -> Record:
        """Set the share of the devices, 0 to 100; less than now pauses. Raises as :meth:`get`."""
        given = {"percentage": percentage, "reason": reason}
        return self._act(model_id, rollout_id, "update-percentage", **given)

    def get_status_history(
        self, model_id: str, rollout_id: str, limit: int = 100, offset: int = 0
    ) -> Sequence[Record]:
        """Return what happened to a rollout, oldest first: when, who, why, by what evidence.

        Raises as :meth:`get` does.
        """
        path = _path(model_id, rollout_id, "status-history")
        found: Sequence[Record] = self._api.get(path, limit=limit, offset=offset)
        return found

    def get_affected_devices(
        self, model_id: str, rollout_id: str, limit: int = 100, cursor: str | None = None
    ) -> Page:
        """Return the devices that took a rollout's version, and where they stand with it.

        Args:
            model_id: the model.
            rollout_id: the rollout.
            limit: how many at most, up to 500.
            cursor: `next_cursor` of the page before.

        Returns:
            Some of them, by their ids; its `next_cursor` leads to the next ones.

        Raises:
            BadRequestError: the cursor is none of this list.
            OctomilClientError: as in :meth:`get`.
        """
        path = _path(model_id, rollout_id, "affected-devices")
        found: Record = self._api.get(path, limit=limit, cursor=cursor)
        return Page(found.devices, found.next_cursor)

    def unblock(self, model_id: str, version: str, reason: str | None = None) -> Record:
        """Let a version be rolled out again that was rolled back for its health.

        Raises as :meth:`get` does.
        """
        body = {} if reason is None else {"reason": reason}
        path = path_to("models", model_id, "versions", version, "unblock")
        lifted: Record = self._api.post(path, body)
        return lifted

    def delete(
        self,
        model_id: str,
        rollout_id: str,
        force: bool = False,
    ) -> Record:
        """Delete a rollout.

        Args:
            model_id: the model.
            rollout_id: the rollout.
            force: even while it is under way; what it offers is withdrawn.

        Raises:
            ConflictError: it is under way, and `force` was not given.
            OctomilClientError: as in :meth:`get`.
        """
        done: Record = self._api.delete(_path(model_id, rollout_id), force=str(force).lower())
        return done

    def _act(self, model_id: str, rollout_id: str, verb: str, **given: Any) -> Record:
        body = {name: value for name, value in given.items() if value is not None}
        changed: Record = self._api.post(_path(model_id, rollout_id, verb), body)
        return changed


def _path(model_id: str, *more: str) -> str:
    return path_to("models", model_id, "rollouts", *map(str, more))
