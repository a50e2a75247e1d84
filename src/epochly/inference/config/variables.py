"""The variables that are no settings: secrets and identities, which belong in no file of a project.

Whoever needs one is handed the environment and reads it through the variable's entry here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable of the environment.

    Attributes:
        name: what it is called.
        doc: what it does, for the documentation.
        default: what it is where it is not set, or empty.
    """

    name: str
    doc: str
    default: str = ""

    def read(self, environ: Mapping[str, str]) -> str:
        """Return its value, or its default."""
        return environ.get(self.name) or self.default


TENANT_ID: Final = Variable(
    "EPOCHLY_TENANT_ID", "Whose cache keys are used by `TenantIsolation.from_env`.", "default"
)
ENCRYPTION_KEY: Final = Variable(
    "EPOCHLY_ENCRYPTION_KEY",
    "Key source `env`: the encryption key, 32 bytes as base64 or hexadecimal text.",
)
ENCRYPTION_KEY_FILE: Final = Variable(
    "EPOCHLY_ENCRYPTION_KEY_FILE",
    "Key source `file`: where the encryption key is.",
    "~/.epochly/encryption.key",
)
HSM_MODULE: Final = Variable("EPOCHLY_HSM_MODULE", "Key source `hsm`: path of the PKCS#11 library.")
HSM_TOKEN: Final = Variable("EPOCHLY_HSM_TOKEN", "Key source `hsm`: label of the token.")
HSM_PIN: Final = Variable("EPOCHLY_HSM_PIN", "Key source `hsm`: the user PIN.")
HSM_KEY_LABEL: Final = Variable(
    "EPOCHLY_HSM_KEY_LABEL", "Key source `hsm`: label of the secret key in the token.", "epochly"
)
SEMCONV_OPT_IN: Final = Variable(
    "OTEL_SEMCONV_STABILITY_OPT_IN",
    "OpenTelemetry's own: with `gen_ai_latest_experimental` among its comma-separated words, "
    "generations go by the names of its conventions.",
)

VARIABLES: Final = (
    TENANT_ID,
    ENCRYPTION_KEY,
    ENCRYPTION_KEY_FILE,
    HSM_MODULE,
    HSM_TOKEN,
    HSM_PIN,
    HSM_KEY_LABEL,
    SEMCONV_OPT_IN,
)
"""All of them, in the order of the documentation."""
