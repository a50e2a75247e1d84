"""The key that the devices of tests trust, and how keys and signatures are written as text."""

import base64
from typing import Final

from octomil.registry.signatures import new_private_key

OWNER: Final = new_private_key()


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()
