"""What a device is told to run, signed, so that nobody on the way can tell it something else.

The version may well be an older one, as after a rollback, so the signature of its manifest does not
tell whether it is meant now. The number does: it grows with every change, and a device takes no
smaller one than it took before, as The Update Framework has it against rollback attacks. While a
version is rolled out to a share of the devices, others are told something else under the same
number: so the statement names the device that it is meant for.
"""

import json
from typing import Final

PAYLOAD_TYPE: Final = "application/vnd.octomil.assignment.v2+json"
"""What the payload says it is, so that no manifest can be mistaken for one."""


def statement(
    *, device_id: str, model_id: str, name: str, version: str, digest: str, sequence: int
) -> bytes:
    """Return what is signed about an assignment: canonical JSON.

    Args:
        device_id: the device that is told.
        model_id: the model's id.
        name: the model's name, as the manifest has it.
        version: the version's number.
        digest: of its manifest, `sha256:` and 64 hexadecimal digits.
        sequence: grows with every change of what is assigned.

    Example:
        >>> said = {"model_id": "mdl_1", "name": "m", "version": "1.0.0", "digest": "sha256:ab"}
        >>> statement(device_id="dev_1", **said, sequence=7)[:39]
        b'{"device_id":"dev_1","digest":"sha256:a'
    """
    value = {
        "device_id": device_id,
        "digest": digest,
        "model_id": model_id,
        "name": name,
        "sequence": sequence,
        "version": version,
    }
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
