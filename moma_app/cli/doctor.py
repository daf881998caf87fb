"""``moma doctor``: what is well and what is not, each with its remedy."""

from __future__ import annotations

import typer

from moma_app.cli import options
from moma_app.cli.output import print_json, say, table


def doctor(json: options.Json = False) -> None:
    """Check the installation, the machine, folders, hub, tracking store and scheduler."""
    import dataclasses

    from moma_app.doctor import examine, worst

    findings = list(examine())
    state = worst(findings)
    if json:
        print_json({"state": state, "findings": [dataclasses.asdict(finding) for finding in findings]})
    else:
        table(
            None,
            [("", "left"), ("checked", "left"), ("found", "left")],
            [(f.state, f.name, f.value + (f"\n→ {f.remedy}" if f.remedy else "")) for f in findings],
        )
        problems, hints = (sum(f.state == kind for f in findings) for kind in ("problem", "hint"))
        counts = f"{_count(problems, 'problem')} and {_count(hints, 'hint')}."
        say(counts.capitalize() if problems or hints else "All is well.")
    if state == "problem":
        raise typer.Exit(1)


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"
