"""What devices are told to run, signed with the key that signs manifests."""

import base64
from collections.abc import Mapping, Sequence

from octomil.control.records import ManifestKey, Rollout
from octomil.registry.assignments import PAYLOAD_TYPE, statement
from octomil.registry.manifest import DIGEST_PREFIX
from octomil.registry.signatures import sign
from octomil.wire.devices import Assignment
from octomil.wire.versions import SignatureView


def signed_assignments(
    key: ManifestKey, offered: Sequence[Rollout], names: Mapping[str, str], sequence: int
) -> tuple[Assignment, ...]:
    """Return what an organisation's devices are told.

    The same rows make the same bytes in every replica: Ed25519 signatures have no randomness.

    Args:
        key: the one that the organisation signs with.
        offered: its rollouts that say what devices run.
        names: of the models that they are of, by id.
        sequence: the number of the plan that they are part of.
    """
    made = []
    for each in offered:
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
