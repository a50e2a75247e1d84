"""`/webhooks`: who is told of what happens."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path, Security

from octomil.control.api.callers import caller_dependency
from octomil.control.api.idempotency import SECRET
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.parameters import DIGITS, Limit, Offset, PathText
from octomil.control.plane import ControlPlane
from octomil.control.records import DeliveryState
from octomil.control.scopes import WEBHOOKS_READ, WEBHOOKS_WRITE
from octomil.control.services.callers import Caller
from octomil.control.services.webhooks import delivery_view, view_of
from octomil.wire.models import Deleted
from octomil.wire.webhooks import (
    DeliveryList,
    NewWebhook,
    WebhookCreation,
    WebhookList,
    WebhookView,
)


def webhooks_router(plane: ControlPlane) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/webhooks", tags=["webhooks"], route_class=StrictJsonRoute)
    caller_of = caller_dependency(plane)
    service, threads = plane.webhooks, plane.threads

    @router.post("", status_code=201, dependencies=[SECRET])
    async def create(
        body: WebhookCreation,
        caller: Annotated[Caller, Security(caller_of, scopes=[WEBHOOKS_WRITE])],
    ) -> NewWebhook:
        """Add a webhook; its secret is shown this once."""
        webhook = await threads.write(service.create, caller, body)
        return NewWebhook(**asdict(view_of(webhook)), secret=webhook.secret)

    @router.get("")
    async def list_all(
        caller: Annotated[Caller, Security(caller_of, scopes=[WEBHOOKS_READ])],
    ) -> WebhookList:
        """Return all webhooks, oldest first."""
        found = await threads.read(service.list, caller)
        return WebhookList(webhooks=[view_of(webhook) for webhook in found])

    @router.get("/{webhook_id}")
    async def get(
        webhook_id: PathText, caller: Annotated[Caller, Security(caller_of, scopes=[WEBHOOKS_READ])]
    ) -> WebhookView:
        """Return a webhook."""
        return view_of(await threads.read(service.get, caller, webhook_id))

    @router.delete("/{webhook_id}")
    async def delete(
        webhook_id: PathText,
        caller: Annotated[Caller, Security(caller_of, scopes=[WEBHOOKS_WRITE])],
    ) -> Deleted:
        """Remove a webhook, and what it was still to be told."""
        await threads.write(service.delete, caller, webhook_id)
        return Deleted(id=webhook_id)

    @router.get("/{webhook_id}/deliveries")
    async def deliveries(
        webhook_id: PathText,
        caller: Annotated[Caller, Security(caller_of, scopes=[WEBHOOKS_READ])],
        state: DeliveryState | None = None,
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> DeliveryList:
        """Return what became of telling a webhook, newest first."""
        found = await threads.read(
            service.deliveries, caller, webhook_id, state=state, limit=limit, offset=offset
        )
        return DeliveryList(deliveries=[delivery_view(delivery) for delivery in found])

    @router.post("/{webhook_id}/deliveries/{delivery_id}/retry")
    async def retry(
        webhook_id: PathText,
        delivery_id: Annotated[int, Path(ge=1, le=2**63 - 1), DIGITS],
        caller: Annotated[Caller, Security(caller_of, scopes=[WEBHOOKS_WRITE])],
    ) -> WebhookView:
        """Try a dead delivery again."""
        await threads.write(service.revive, caller, webhook_id, delivery_id)
        return view_of(await threads.read(service.get, caller, webhook_id))

    return router
