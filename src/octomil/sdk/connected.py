"""What every client of the control plane is: connected as one caller, with the same resources."""

from functools import cached_property
from types import TracebackType
from typing import Self

from octomil.http.connection import connect
from octomil.sdk.resources.base import Resource
from octomil.sdk.resources.placement import Placement
from octomil.sdk.resources.rollouts import Rollouts


class Connected(Resource):
    """A client of the control plane.

    What it returns can be read in both ways, `model.id` and `model["id"]`. A call that fails for
    now is tried again by itself; what then remains is an `OctomilClientError`, whose class says
    what is wrong. An instance may be used by several threads.

    Args:
        api_key: else `OCTOMIL_API_KEY`.
        org_id: else `OCTOMIL_ORG_ID`, else `default`.
        api_base: else `OCTOMIL_API_BASE`, else `http://127.0.0.1:8000/api/v1`.

    Raises:
        ConfigurationError: there is no key, or the address is none.
    """

    def __init__(
        self, api_key: str | None = None, org_id: str | None = None, api_base: str | None = None
    ) -> None:
        super().__init__(*connect(api_key, api_base, org_id))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection; closing twice is harmless."""
        self._api.close()

    @cached_property
    def rollouts(self) -> Rollouts:
        """Rollouts, with all that can be done with them."""
        return Rollouts(self._api, self.org_id)

    @cached_property
    def placement(self) -> Placement:
        """The routing engine: where models run for devices."""
        return Placement(self._api, self.org_id)
