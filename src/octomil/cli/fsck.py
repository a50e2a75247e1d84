"""`octomil fsck`: whether the files that the control plane keeps are whole."""

import json
from pathlib import Path

import click

from octomil.cli.tables import print_table


@click.command("fsck")
@click.argument("folder", metavar="DATA_DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(folder: Path, *, as_json: bool) -> int:
    """Hash every file that the control plane in DATA_DIR keeps, and compare it with its name.

    The control plane may run meanwhile. DATABASE_URL and OCTOMIL_BLOB_URL are heeded. Exits with 1
    if a file is missing or damaged.
    """
    from octomil.compose_kept import open_kept
    from octomil.config import Settings
    from octomil.control.data_folder import data_folder_at
    from octomil.control.services.fsck import check_blobs

    with open_kept(Settings.from_env(), data_folder_at(folder)) as (store, blobs):
        verdict = check_blobs(store, blobs)
    if as_json:
        found = {fault.value: digests for fault, digests in verdict.faults.items()}
        click.echo(
            json.dumps(
                {"ok": verdict.is_sound, "checked": verdict.checked, "bytes": verdict.bytes}
                | found,
                indent=2,
            )
        )
    else:
        click.echo(f"{verdict} ({verdict.bytes / 2**20:,.1f} MiB read)")
        rows = [(f.value, digest) for f, digests in verdict.faults.items() for digest in digests]
        if rows:
            print_table(("fault", "sha256"), rows)
        if not verdict.is_sound:
            click.echo(
                "What is missing or differs is whole again once you send the same file again; "
                "in an object store, delete what differs first."
            )
    return 0 if verdict.is_sound else 1
