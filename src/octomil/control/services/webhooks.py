"""Webhooks: who is told of what happens, and what became of telling them."""

from collections.abc import Sequence

from octomil.control.identifiers import new_id
from octomil.control.moments import shown, shown_or_none
from octomil.control.ports import Clock, Store, Transaction
from octomil.control.records import Act, Delivery, DeliveryState, Webhook
from octomil.control.scopes import WEBHOOKS_READ, WEBHOOKS_WRITE
from octomil.control.services.callers import Caller
from octomil.control.services.webhook_targets import check_url
from octomil.errors import BadRequestError, ConflictError, NotFoundError
from octomil.registry.messages import check_secret, new_secret
from octomil.wire.webhooks import EVENT_TYPES, DeliveryView, WebhookCreation, WebhookView

MAX_WEBHOOKS = 100


class WebhookService:
    """What can be done with webhooks.

    Args:
        store: where they are.
        clock: tells the time.
        allow_private: whether their addresses may be of a private network.
    """

    def __init__(self, store: Store, clock: Clock, *, allow_private: bool) -> None:
        self._store = store
        self._clock = clock
        self._allow_private = allow_private

    def create(self, caller: Caller, creation: WebhookCreation) -> Webhook:
        """Add a webhook, which is told of everything that happens from now on.

        Raises:
            ForbiddenError: the caller lacks the scope.
            BadRequestError: the URL or the secret cannot be used.
            ConflictError: there are too many already.
        """
        caller.require(WEBHOOKS_WRITE)
        check_url(creation.url, allow_private=self._allow_private)
        secret, now = creation.secret or new_secret(), self._clock()
        try:
            check_secret(secret)
        except ValueError as error:
            raise BadRequestError(f"secret: {error}") from None
        webhook = Webhook(
            id=new_id("whk", now),
            organisation=caller.organisation,
            url=creation.url,
            secret=secret,
            events=tuple(dict.fromkeys(creation.events or EVENT_TYPES)),
            created_at=now,
        )
        with self._store.transaction(caller.organisation) as tx:
            if len(tx.webhooks.list()) >= MAX_WEBHOOKS:
                raise ConflictError(f"there are {MAX_WEBHOOKS} webhooks already; remove one first")
            tx.webhooks.add(webhook)
            self._note(tx, caller, "webhook.create", webhook)
        return webhook

    def get(self, caller: Caller, webhook_id: str) -> Webhook:
        """Return a webhook.

        Raises:
            ForbiddenError: the caller lacks the scope.
            NotFoundError: there is none under that id.
        """
        caller.require(WEBHOOKS_READ)
        with self._store.snapshot(caller.organisation) as tx:
            return _require(tx, webhook_id)

    def list(self, caller: Caller) -> Sequence[Webhook]:
        """Return all webhooks, oldest first.

        Raises:
            ForbiddenError: the caller lacks the scope.
        """
        caller.require(WEBHOOKS_READ)
        with self._store.snapshot(caller.organisation) as tx:
            return tx.webhooks.list()

    def delete(self, caller: Caller, webhook_id: str) -> None:
        """Remove a webhook, and what it was still to be told.

        Raises:
            ForbiddenError: the caller lacks the scope.
            NotFoundError: there is none under that id.
        """
        caller.require(WEBHOOKS_WRITE)
        with self._store.transaction(caller.organisation) as tx:
            webhook = _require(tx, webhook_id)
            tx.webhooks.delete(webhook.id, self._clock())
            tx.outbox.drop(webhook.id)
            self._note(tx, caller, "webhook.delete", webhook)

    def deliveries(
        self,
        caller: Caller,
        webhook_id: str,
        *,
        state: DeliveryState | None,
        limit: int,
        offset: int,
    ) -> Sequence[Delivery]:
        """Return what became of telling a webhook, newest first.

        Raises:
            ForbiddenError: the caller lacks the scope.
            NotFoundError: there is no such webhook.
        """
        caller.require(WEBHOOKS_READ)
        with self._store.snapshot(caller.organisation) as tx:
            webhook = _require(tx, webhook_id)
            return tx.outbox.list(webhook.id, state=state, limit=limit, offset=offset)

    def revive(self, caller: Caller, webhook_id: str, delivery_id: int) -> None:
        """Try a dead delivery again.

        Raises:
            ForbiddenError: the caller lacks the scope.
            NotFoundError: there is no such webhook, or it has no such dead delivery.
        """
        caller.require(WEBHOOKS_WRITE)
        with self._store.transaction(caller.organisation) as tx:
            webhook = _require(tx, webhook_id)
            if not tx.outbox.revive(webhook.id, delivery_id, self._clock()):
                raise NotFoundError(f"the webhook has no dead delivery {delivery_id}")
            self._note(tx, caller, "webhook.revive", webhook)

    def _note(self, tx: Transaction, caller: Caller, operation: str, webhook: Webhook) -> None:
        details = {"url": webhook.url, "events": list(webhook.events)}
        act = Act(actor=caller.actor, operation=operation, target=webhook.id, details=details)
        tx.audit.append(act, self._clock())


def view_of(webhook: Webhook) -> WebhookView:
    """Return a webhook as the API shows it."""
    return WebhookView(
        id=webhook.id,
        url=webhook.url,
        events=list(webhook.events),
        created_at=shown(webhook.created_at),
    )


def delivery_view(delivery: Delivery) -> DeliveryView:
    """Return a delivery as the API shows it."""
    is_pending = delivery.state is DeliveryState.PENDING
    return DeliveryView(
        id=delivery.sequence,
        event_id=delivery.event_id,
        event_type=delivery.event_type,
        state=delivery.state.value,
        tries=delivery.tries,
        created_at=shown(delivery.created_at),
        due_at=shown(delivery.due_at) if is_pending else None,
        ended_at=shown_or_none(delivery.ended_at),
        status=delivery.status,
        problem=delivery.problem,
    )


def _require(tx: Transaction, webhook_id: str) -> Webhook:
    webhook = tx.webhooks.get(webhook_id)
    if webhook is None:
        raise NotFoundError(f"there is no webhook {webhook_id!r}")
    return webhook
