"""`octomil audit`: whether an audit log is as it was written."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from epochly.inference.privacy.audit import AuditVerification, verify_audit_log
from octomil.errors import ConfigurationError


@click.group("audit")
def command() -> None:
    """Check audit logs of `octomil serve --audit-log`."""


@command.command("verify")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(folder: Path, *, as_json: bool) -> int:
    """Check every record in FOLDER; exit with 1 if one was edited, removed, moved or cut off.

    The log may be in use meanwhile.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"there is no audit log in {folder}: no such folder")
    try:
        found = verify_audit_log(folder)
    except OSError as error:
        raise ConfigurationError(f"the audit log cannot be read: {error}") from error
    if as_json:
        click.echo(json.dumps({"ok": found.ok, **asdict(found)}, indent=2))
    else:
        _show(found)
    return 0 if found.ok else 1


def _show(found: AuditVerification) -> None:
    rows = [("records", f"{found.records:,} right")]
    if found.unacknowledged:
        rows.append(("", f"{found.unacknowledged:,} of them after the head, as a crash leaves"))
    if found.torn_bytes:
        rows.append(("", f"{found.torn_bytes:,} bytes of an unfinished one, as a crash leaves"))
    rows.append(("first bad", str(found.first_bad or "none")))
    for name, value in rows:
        click.echo(f"{name:<10} {value}")
