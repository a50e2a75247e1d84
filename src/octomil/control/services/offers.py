"""What devices are told to run, signed with the key that signs manifests."""

import base64
from collections.abc import Sequence

from octomil.control.ports import Transaction
from octomil.control.records import Rollout
from octomil.registry.assignments import PAYLOAD_TYPE, statement
from octomil.registry.manifest import DIGEST_PREFIX
from octomil.registry.signatures import sign
from octomil.wire.devices import Assignment
from octomil.wire.versions import SignatureView


def signed_assignments(
    tx: Transaction, offered: Sequence[Rollout], sequence: int
) -> tuple[Assignment, ...]:
    """Return what an organisation's devices are told.

    The same rows make the same bytes in every replica: Ed25519 signatures have no randomness.

    Args:
        tx: the organisation's.
        offered: its rollouts that say what devices run.
        sequence: the number of the plan that they are part of.
    """
    key = tx.manifest_keys.current()
    if key is None:  # then nothing was ever published, so nothing can be offered
        return ()
    names = tx.models.names({each.model_id for each in offered})
    made = []
    for each in offered:
        if each.model_id not in names:  # it was removed a moment ago
            continue
        said = {
            "model_id": each.model_id,
            "name": names[each.model_id],
            "version": each.number,
            "digest": DIGEST_PREFIX + each.digest,
        }
        signature = sign(key.private, PAYLOAD_TYPE, statement(**said, sequence=sequence))
        shown = SignatureView(keyid=key.id, sig=base64.b64encode(signature).decode())
        made.append(Assignment(**said, sequence=sequence, signature=shown))
    return tuple(made)
