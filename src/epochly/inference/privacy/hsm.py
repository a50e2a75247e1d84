"""The encryption key from a hardware security module, over PKCS#11.

The token holds a secret that never leaves it. The key material is what the token's HMAC-SHA256
makes of a fixed text (NIST SP 800-108r1, counter mode, one block), so that nothing has to be stored
beside the token, and whoever steals the disk but not the token has nothing.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from epochly._optional import require
from epochly.errors import KeyUnavailableError
from epochly.inference.config.variables import HSM_KEY_LABEL, HSM_MODULE, HSM_PIN, HSM_TOKEN
from epochly.inference.privacy.keys import KEY_BYTES, derivation_input

_PURPOSE = "hsm key material"


class HsmKey:
    """Key material derived inside a PKCS#11 token.

    Args:
        module: path of the vendor's PKCS#11 library.
        token: label of the token.
        pin: the user PIN.
        key_label: label of the generic secret key in the token.
    """

    def __init__(
        self, module: str | Path, token: str, pin: str, key_label: str = HSM_KEY_LABEL.default
    ) -> None:
        self._module = str(module)
        self._token = token
        self._pin = pin
        self._key_label = key_label

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read the module, token, PIN and key label from `EPOCHLY_HSM_*`.

        Raises:
            KeyUnavailableError: a variable without a default is not set; it is named.
        """
        wanted = (HSM_MODULE, HSM_TOKEN, HSM_PIN)
        missing = [variable.name for variable in wanted if not variable.read(environ)]
        if missing:
            raise KeyUnavailableError(f"the key source 'hsm' needs {', '.join(missing)} to be set")
        module, token, pin = (variable.read(environ) for variable in wanted)
        return cls(module, token, pin, HSM_KEY_LABEL.read(environ))

    def load(self) -> bytes:
        """Let the token derive the 32 bytes of key material.

        Raises:
            KeyUnavailableError: no token, PIN or key, or the token would give the key away.
            MissingDependencyError: `python-pkcs11` is not installed.
        """
        with self._session() as (pkcs11, session):
            key = session.get_key(object_class=pkcs11.ObjectClass.SECRET_KEY, label=self._key_label)
            if key[pkcs11.Attribute.EXTRACTABLE] or not key[pkcs11.Attribute.SENSITIVE]:
                raise KeyUnavailableError(
                    f"the key {self._key_label!r} of token {self._token!r} can be read out of it; "
                    "make one with create() that cannot"
                )
            return bytes(
                key.sign(derivation_input(_PURPOSE), mechanism=pkcs11.Mechanism.SHA256_HMAC)
            )

    def create(self) -> None:
        """Make the secret in the token, once: it is sensitive and cannot be extracted.

        Raises:
            KeyUnavailableError: no token or PIN, or a key of that label is there already.
            MissingDependencyError: `python-pkcs11` is not installed.
        """
        with self._session(writable=True) as (pkcs11, session):
            sought = {
                pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY,
                pkcs11.Attribute.LABEL: self._key_label,
            }
            if any(session.get_objects(sought)):
                raise KeyUnavailableError(
                    f"token {self._token!r} holds a key {self._key_label!r} already; what was "
                    "encrypted with it could not be read with another"
                )
            session.generate_key(
                pkcs11.KeyType.GENERIC_SECRET,
                KEY_BYTES * 8,
                label=self._key_label,
                store=True,
                capabilities=pkcs11.MechanismFlag.SIGN,
                mechanism=pkcs11.Mechanism.GENERIC_SECRET_KEY_GEN,
                template={
                    pkcs11.Attribute.SENSITIVE: True,
                    pkcs11.Attribute.EXTRACTABLE: False,
                },
            )

    @contextmanager
    def _session(self, *, writable: bool = False) -> Iterator[tuple[Any, Any]]:
        pkcs11: Any = require("pkcs11", package="python-pkcs11", purpose="the key source 'hsm'")
        try:
            token = pkcs11.lib(self._module).get_token(token_label=self._token)
            with token.open(rw=writable, user_pin=self._pin) as session:
                yield pkcs11, session
        # The binding reports a library that cannot be loaded as a RuntimeError.
        except (pkcs11.PKCS11Error, RuntimeError, OSError) as err:
            reason = type(err).__name__ + (f": {err}" if str(err) else "")
            raise KeyUnavailableError(
                f"the key {self._key_label!r} cannot be had from token {self._token!r} by "
                f"{self._module} ({reason})"
            ) from err
