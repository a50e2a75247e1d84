"""Telling webhooks what the outbox holds."""

import asyncio

from octomil.control.plane import ControlPlane
from octomil.control.ports import WebhookUnreachableError
from octomil.control.services.deliveries import AT_ONCE, Message

EVERY_S = 1.0
FORGOTTEN_EVERY_S = 3600.0


async def deliver(plane: ControlPlane) -> None:
    """Deliver what is due, many at a time, until nothing more is.

    What comes to be due meanwhile is begun as soon as there is a place: it waits for no other.
    """
    under_way: set[asyncio.Task[None]] = set()
    async with asyncio.TaskGroup() as group:
        while True:
            if free := AT_ONCE - len(under_way):
                for message in await plane.threads.write(plane.deliveries.claim, free):
                    under_way.add(group.create_task(_deliver(plane, message)))
            if not under_way:
                return
            _, under_way = await asyncio.wait(
                under_way, timeout=EVERY_S, return_when=asyncio.FIRST_COMPLETED
            )


async def forget_old_deliveries(plane: ControlPlane) -> None:
    """Drop what ended long ago."""
    await plane.threads.write(plane.deliveries.forget_old)


async def _deliver(plane: ControlPlane, message: Message) -> None:
    status, problem = None, None
    try:
        status = await plane.webhook_sender.send(message.url, message.headers, message.body)
    except WebhookUnreachableError as error:
        problem = str(error)
    await plane.threads.write(plane.deliveries.settle, message.delivery, status, problem)
