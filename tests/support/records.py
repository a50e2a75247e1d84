"""What the control plane noted of what was done."""

from octomil.control.plane import ControlPlane


def operations(plane: ControlPlane, organisation: str = "default") -> list[str]:
    """The operations in an organisation's audit, oldest first; it is whole."""
    with plane.store.snapshot(organisation) as tx:
        tx.audit.verify()
        return [str(entry["operation"]) for entry in tx.audit.entries()]
