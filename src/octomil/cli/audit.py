"""`octomil audit`: whether what was noted for an audit is as it was written."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from epochly.inference.privacy.audit import AuditVerification, verify_audit_log
from octomil.cli.groups import SuggestingGroup
from octomil.cli.tables import print_table
from octomil.errors import ConfigurationError


@click.group("audit", cls=SuggestingGroup)
def command() -> None:
    """Check audit logs of `octomil serve --audit-log`, and the audit of the control plane."""


@command.command("verify")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(folder: Path, *, as_json: bool) -> int:
    """Check every record in FOLDER; exit with 1 if one was edited, removed, moved or cut off.

    FOLDER is a node's audit log, or the data folder of a control plane, whose rows may be in
    Postgres (DATABASE_URL). It may be in use meanwhile.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"there is no audit log in {folder}: no such folder")
    from octomil.control.data_folder import is_data_folder

    if is_data_folder(folder):
        return _verify_control_plane(folder, as_json=as_json)
    try:
        found = verify_audit_log(folder)
    except OSError as error:
        raise ConfigurationError(f"the audit log cannot be read: {error}") from error
    if as_json:
        click.echo(json.dumps({"ok": found.ok, **asdict(found)}, indent=2))
    else:
        _show(found)
    return 0 if found.ok else 1


def _verify_control_plane(folder: Path, *, as_json: bool) -> int:
    from octomil.compose_kept import open_audit
    from octomil.config import Settings
    from octomil.control.data_folder import DataFolder

    with open_audit(Settings.from_env(), DataFolder(folder.absolute())) as found:
        verdicts = list(found)
    is_whole = all(verdict.problem is None for verdict in verdicts)
    if as_json:
        organisations = [asdict(verdict) for verdict in verdicts]
        click.echo(json.dumps({"ok": is_whole, "organisations": organisations}, indent=2))
    else:
        rows = [
            (each.organisation, "" if each.records is None else f"{each.records:,}",
             each.problem or "none")
            for each in verdicts
        ]  # fmt: skip
        print_table(("organisation", "records right", "first bad"), rows, right=["records right"])
    return 0 if is_whole else 1


def _show(found: AuditVerification) -> None:
    rows = [("records", f"{found.records:,} right")]
    if found.unacknowledged:
        rows.append(("", f"{found.unacknowledged:,} of them after the head, as a crash leaves"))
    if found.torn_bytes:
        rows.append(("", f"{found.torn_bytes:,} bytes of an unfinished one, as a crash leaves"))
    rows.append(("first bad", str(found.first_bad or "none")))
    for name, value in rows:
        click.echo(f"{name:<10} {value}")
