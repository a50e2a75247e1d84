"""Whether what this device is told to run is the control plane's own word, and its last."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import msgspec

from octomil.device.state import StateFolder
from octomil.device.trust import TrustedKeys
from octomil.errors import DataFolderError, UnexpectedAnswerError
from octomil.models.partial import space_errors, sync_folder, write_json
from octomil.registry.assignments import PAYLOAD_TYPE, statement
from octomil.wire.devices import Assignment


def is_same(one: Assignment, other: Assignment) -> bool:
    """Tell whether two assignments say the same, whatever their numbers are.

    The number grows with every change of the organisation's plan.
    """
    parts = ((each.model_id, each.version, each.digest) for each in (one, other))
    return next(parts) == next(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """What was assigned last of a model, as it was signed."""

    sequence: int
    digest: str


class AcceptedAssignments:
    """The assignments that were taken: of each model, the last.

    Args:
        state: where they are remembered.
        keys: who may assign.
    """

    def __init__(self, state: StateFolder, keys: TrustedKeys) -> None:
        self._state = state
        self._keys = keys

    def accept(self, wanted: Assignment, device_id: str) -> None:
        """Return if an assignment is signed and not older than the last of its model; remember it.

        Args:
            wanted: the assignment.
            device_id: this device, whom it must be meant for.

        Raises:
            DigestMismatchError: nobody whom this device trusts has signed it for this device.
            UnexpectedAnswerError: it is older than one that was taken, or has no signature.
            DataFolderError: what was taken before cannot be told any more.
            InsufficientSpaceError: the disk is full.
            OctomilClientError: the control plane does not tell its keys.
        """
        payload = statement(
            device_id=device_id,
            model_id=wanted.model_id,
            name=wanted.name,
            version=wanted.version,
            digest=wanted.digest,
            sequence=wanted.sequence,
        )
        try:
            signature = base64.b64decode(wanted.signature.sig, validate=True)
        except (binascii.Error, ValueError) as error:
            raise UnexpectedAnswerError(f"the assignment has no signature: {error}") from error
        said = {wanted.signature.keyid: signature}
        what = f"the assignment of {wanted.name} {wanted.version}"
        self._keys.require_signed(PAYLOAD_TYPE, payload, said, what)
        taken = self._taken()
        last = taken.get(wanted.model_id)
        now = _Taken(sequence=wanted.sequence, digest=wanted.digest)
        if last is not None and wanted.sequence < last.sequence:
            raise UnexpectedAnswerError(
                f"{what} is older ({wanted.sequence}) than what was assigned before "
                f"({last.sequence}), so it is not followed; a replica that lags behind gives such "
                "for some seconds"
            )
        if now != last:
            self._remember({**taken, wanted.model_id: now})

    def digests(self) -> set[str]:
        """Return the digests of what was assigned last; raises DataFolderError as `accept`."""
        return {each.digest for each in self._taken().values()}

    def _taken(self) -> Mapping[str, _Taken]:
        path = self._state.assignments
        try:
            return msgspec.json.decode(path.read_bytes(), type=dict[str, _Taken])
        except FileNotFoundError:
            return {}
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DataFolderError(
                f"{path} is damaged ({error}), so nobody can tell which assignment is the last; "
                "delete it where you trust the connection to the control plane"
            ) from error

    def _remember(self, taken: Mapping[str, _Taken]) -> None:
        kept = {model_id: asdict(each) for model_id, each in taken.items()}
        with space_errors(self._state.path):
            write_json(self._state.assignments, kept)
            sync_folder(self._state.path)
