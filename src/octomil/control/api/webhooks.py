"""`/webhooks`: who is told of what happens."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path, Security

from octomil.control.api.callers import caller_of
from octomil.control.api.idempotency import SECRET
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.parameters import DIGITS, Limit, Offset, PathText
from octomil.control.api.planes import Plane
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

router = APIRouter(prefix="/webhooks", tags=["webhooks"], route_class=StrictJsonRoute)
_Reader = Annotated[Caller, Security(caller_of, scopes=[WEBHOOKS_READ])]
_Writer = Annotated[Caller, Security(caller_of, scopes=[WEBHOOKS_WRITE])]


@router.post("", status_code=201, dependencies=[SECRET])
async def create(plane: Plane, body: WebhookCreation, caller: _Writer) -> NewWebhook:
    """Add a webhook; its secret is shown this once."""
    webhook = await plane.threads.write(plane.webhooks.create, caller, body)
    return NewWebhook(**asdict(view_of(webhook)), secret=webhook.secret)


@router.get("")
async def list_all(plane: Plane, caller: _Reader) -> WebhookList:
    """Return all webhooks, oldest first."""
    found = await plane.threads.read(plane.webhooks.list, caller)
    return WebhookList(webhooks=[view_of(webhook) for webhook in found])


@router.get("/{webhook_id}")
async def get(plane: Plane, webhook_id: PathText, caller: _Reader) -> WebhookView:
    """Return a webhook."""
    return view_of(await plane.threads.read(plane.webhooks.get, caller, webhook_id))


@router.delete("/{webhook_id}")
async def delete(plane: Plane, webhook_id: PathText, caller: _Writer) -> Deleted:
    """Remove a webhook, and what it was still to be told."""
    await plane.threads.write(plane.webhooks.delete, caller, webhook_id)
    return Deleted(id=webhook_id)


@router.get("/{webhook_id}/deliveries")
async def deliveries(
    plane: Plane,
    webhook_id: PathText,
    caller: _Reader,
    state: DeliveryState | None = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> DeliveryList:
    """Return what became of telling a webhook, newest first."""
    found = await plane.threads.read(
        plane.webhooks.deliveries, caller, webhook_id, state=state, limit=limit, offset=offset
    )
    return DeliveryList(deliveries=[delivery_view(delivery) for delivery in found])


@router.post("/{webhook_id}/deliveries/{delivery_id}/retry")
async def retry(
    plane: Plane,
    webhook_id: PathText,
    delivery_id: Annotated[int, Path(ge=1, le=2**63 - 1), DIGITS],
    caller: _Writer,
) -> WebhookView:
    """Try a dead delivery again."""
    await plane.threads.write(plane.webhooks.revive, caller, webhook_id, delivery_id)
    return view_of(await plane.threads.read(plane.webhooks.get, caller, webhook_id))
