"""`octomil pull`: fetch models by name, verified, with a progress bar."""

import json

import click

from octomil.config import Settings
from octomil.models.local import LocalModel
from octomil.models.partial import format_size
from octomil.models.progress import open_progress
from octomil.models.pull import ModelStore
from octomil.models.references import ModelRef, parse_reference, split_names


@click.command("pull")
@click.argument("names", nargs=-1, required=True, metavar="NAME[,NAME...]...")
@click.option("--force", is_flag=True, help="Fetch again, and accept that the files have changed.")
@click.option("--verify", is_flag=True, help="Hash what is here already and compare.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per model.")
def command(names: tuple[str, ...], *, force: bool, verify: bool, as_json: bool) -> None:
    """Download models, verify them and keep them in the cache.

    NAME is a name from `octomil models` or hf:OWNER/REPO/FILE.gguf. A download that was cut off
    goes on where it stopped. Give several names separated by commas or spaces.
    """
    settings = Settings.from_env()
    store = ModelStore(settings)
    # Every name is read before the first byte is fetched: a typo shows now, not a gigabyte later.
    refs = [parse_reference(name, settings.model_aliases) for name in split_names(names)]
    for ref in refs:
        if not ref.has_files:
            click.echo(f"{ref} runs without files of ours: nothing to pull", err=True)
            continue
        model, was_here = _obtain(store, ref, force=force)
        if was_here and verify:
            model = store.verify(ref)
        _print(model, was_here=was_here, verified=verify or not was_here, as_json=as_json)


def _obtain(store: ModelStore, ref: ModelRef, *, force: bool) -> tuple[LocalModel, bool]:
    if not force and (found := store.find(ref)):
        return found, True
    try:
        with open_progress() as progress:
            return store.pull(ref, progress, force=force), False
    except KeyboardInterrupt:
        click.echo(f"stopped; `octomil pull {ref}` goes on from here", err=True)
        raise


def _print(model: LocalModel, *, was_here: bool, verified: bool, as_json: bool) -> None:
    if as_json:
        facts = {
            "name": model.name,
            "reference": model.reference,
            "path": str(model.path),
            "size_bytes": model.size_bytes,
            "parameters": model.parameters,
            "kind": model.kind,
            "license": model.license,
            "sha256": dict(model.sha256),
            "already_here": was_here,
        }
        click.echo(json.dumps(facts))
        return
    state = "already here" if was_here else "pulled"
    state += " and verified" if verified and model.sha256 else ""
    click.echo(f"{model.name}: {state}, {format_size(model.size_bytes)} at {model.path}")
