"""`octomil backup`: a copy of the control plane's data folder."""

from pathlib import Path

import click


@click.command("backup")
@click.argument("folder", metavar="DATA_DIR", type=click.Path(path_type=Path, file_okay=False))
@click.argument("target", metavar="TARGET", type=click.Path(path_type=Path))
def command(folder: Path, target: Path) -> None:
    """Copy the data folder DATA_DIR of a control plane to TARGET, where there is nothing yet.

    The control plane may run meanwhile: the copy is of one moment, and every file in it is checked.
    Uploads under way are left out, and begin anew. The copy holds secrets as the folder does.
    """
    from octomil.config import Settings
    from octomil.control.backups import back_up, check_is_embedded
    from octomil.control.data_folder import data_folder_at, kept_from_others

    settings = Settings.from_env()
    check_is_embedded(settings.database_url, settings.blob_url)
    with kept_from_others():
        copied = back_up(data_folder_at(folder), target)
    click.echo(
        f"{target}: {copied.files:,} files, {copied.bytes / 2**20:,.1f} MiB, and the rows; "
        f"`octomil restore {target} DATA_DIR` puts it back"
    )
