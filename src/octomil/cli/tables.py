"""Tables on a terminal, and the same as plain columns for other programs."""

import sys
from collections.abc import Collection, Sequence

import click


def print_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[str] = (),
    dim: Collection[int] = (),
) -> None:
    """Print rows under their titles.

    Args:
        header: the titles.
        rows: the cells.
        right: titles of columns of figures.
        dim: indexes of rows that matter less.
    """
    if sys.stdout.isatty():
        _print_rich(header, rows, right, dim)
    else:
        _print_plain(header, rows, right)


def _print_rich(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Collection[str],
    dim: Collection[int],
) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in header:
        table.add_column(title, justify="right" if title in right else "left", no_wrap=True)
    for index, row in enumerate(rows):
        table.add_row(*map(escape, row), style="dim" if index in dim else None)
    Console().print(table)


def _print_plain(
    header: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str]
) -> None:
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        cells = (
            cell.rjust(width) if title in right else cell.ljust(width)
            for cell, width, title in zip(line, widths, header, strict=True)
        )
        click.echo("  ".join(cells).rstrip())


def day(moment: str) -> str:
    """Return the day of a moment of the API (ISO 8601), as a table shows it."""
    return moment.partition("T")[0]


def minute(moment: str | None) -> str:
    """Return a moment of the API (ISO 8601) to the minute, as a table shows it."""
    return (moment or "")[:16].replace("T", " ")
