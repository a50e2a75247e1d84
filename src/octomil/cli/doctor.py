"""`octomil doctor`: tell what is missing or slow on this machine."""

import json
from dataclasses import asdict

import click

from octomil.doctor.examination import examine
from octomil.doctor.finding import Finding, Status

_COLOURS = {Status.OK: "green", Status.NOTE: "yellow", Status.PROBLEM: "red"}
_STATUS_WIDTH = max(map(len, Status))
_CHECK_WIDTH = 16


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--measure", is_flag=True, help="Load each local chat model and tell its speed.")
def command(*, as_json: bool, measure: bool) -> int:
    """Tell what is missing or slow on this machine.

    Nothing is changed. The only requests are one each to the package index, the model hub, Ollama
    and the OpenAI-compatible endpoint, as they are configured. The exit status is 1 if there is a
    problem; notes are about what is optional.
    """
    findings = []
    for finding in examine(measure=measure):
        findings.append(finding)
        if not as_json:
            _print(finding)
    problems = [finding for finding in findings if finding.status is Status.PROBLEM]
    if as_json:
        report = {"ok": not problems, "findings": [asdict(finding) for finding in findings]}
        click.echo(json.dumps(report, indent=2))
    else:
        notes = sum(finding.status is Status.NOTE for finding in findings)
        click.echo(f"\n{_count(len(problems), 'problem')}, {_count(notes, 'note')}")
    return bool(problems)


def _print(finding: Finding) -> None:
    status = click.style(f"{finding.status:<{_STATUS_WIDTH}}", fg=_COLOURS[finding.status])
    click.echo(f"{status}  {finding.check:<{_CHECK_WIDTH}}  {finding.detail}")
    if finding.hint:
        click.echo(f"{'':<{_STATUS_WIDTH + _CHECK_WIDTH + 4}}→ {finding.hint}")


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
