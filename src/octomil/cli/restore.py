"""`octomil restore`: a data folder of a backup."""

from pathlib import Path

import click


@click.command("restore")
@click.argument(
    "backup", metavar="BACKUP", type=click.Path(path_type=Path, exists=True, file_okay=False)
)
@click.argument("folder", metavar="DATA_DIR", type=click.Path(path_type=Path))
def command(backup: Path, folder: Path) -> None:
    """Make the data folder DATA_DIR of BACKUP; there must be nothing in it yet.

    Every file is checked on the way. Start it by `octomil up --data-dir DATA_DIR`.
    """
    from octomil.control.backups import restore
    from octomil.control.data_folder import kept_from_others

    with kept_from_others():
        copied = restore(backup, folder)
    click.echo(f"{folder}: {copied.files:,} files, {copied.bytes / 2**20:,.1f} MiB, all right")
