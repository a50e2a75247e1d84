"""Telling webhooks what the outbox holds."""

import asyncio
import logging
from collections.abc import Sequence

from octomil.control.plane import ControlPlane
from octomil.control.ports import WebhookUnreachableError
from octomil.control.services.deliveries import AT_ONCE, Message

EVERY_S = 1.0

_log = logging.getLogger("octomil.control")


async def deliver(plane: ControlPlane) -> None:
    """Deliver what is due, many at a time, until nothing more is.

    What comes to be due meanwhile is begun as soon as there is a place: it waits for no other.
    """
    under_way: set[asyncio.Task[None]] = set()
    async with asyncio.TaskGroup() as group:
        while True:
            if free := AT_ONCE - len(under_way):
                for message in await _claimed(plane, free):
                    under_way.add(group.create_task(_deliver(plane, message)))
            if not under_way:
                return
            _, under_way = await asyncio.wait(
                under_way, timeout=EVERY_S, return_when=asyncio.FIRST_COMPLETED
            )


async def _claimed(plane: ControlPlane, most: int) -> Sequence[Message]:
    """Take what is due; nothing while that cannot be told, and those under way go on."""
    try:
        return await plane.threads.write(plane.deliveries.claim, most)
    except Exception:  # noqa: BLE001 - logged, and the next try may do better
        _log.exception("what webhooks are to be told could not be read")
        return []


async def _deliver(plane: ControlPlane, message: Message) -> None:
    """Try a delivery; one whose end cannot be noted is tried again when its lease is over."""
    try:
        status, problem = await _sent(plane, message)
        await plane.threads.write(plane.deliveries.settle, message.delivery, status, problem)
    except Exception:  # noqa: BLE001 - logged, and keeps no other from being told
        _log.exception("what became of the delivery %d is not noted", message.delivery.sequence)


async def _sent(plane: ControlPlane, message: Message) -> tuple[int | None, str | None]:
    try:
        return await plane.webhook_sender.send(message.url, message.headers, message.body), None
    except WebhookUnreachableError as error:
        return None, str(error)
