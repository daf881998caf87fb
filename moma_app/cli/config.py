"""``moma config``: what is set and by whom, and a file to begin with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from moma_app.cli import options
from moma_app.cli.output import out, print_json, say, table
from moma_app.errors import InputError

app = typer.Typer(help="Settings: what is in use and where it comes from.", no_args_is_help=True)
ROOM = 50
"""Columns that sentences need beside the values; with less, they stand below them."""


@app.command()
def show(json: options.Json = False) -> None:
    """Show every setting, its value, and where the value comes from."""
    import dataclasses

    from moma_app.config import config_files, explain_settings

    settings = explain_settings()
    files = config_files()
    if json:
        print_json(
            {
                "settings": [
                    {key: _public(value) for key, value in dataclasses.asdict(s).items()} for s in settings
                ],
                "files": [{"path": str(f.path), "exists": f.path.is_file()} for f in files],
            }
        )
        return
    rows = [(s.key, _text(s.value), _public(s.origin), s.about) for s in settings]
    headings = ("key", "value", "from", "what it does")
    widths = [max(map(len, column)) + 2 for column in zip(headings, *rows, strict=True)]
    if sum(widths[:3]) + ROOM <= out.width:
        table(None, [(heading, "left") for heading in headings], rows)
    else:
        pairs = [(key, f"{value}  ({origin})\n{about}") for key, value, origin, about in rows]
        table(None, [("key", "left"), ("value (from), what it does", "left")], pairs)
    found = [f"{file.path}{'' if file.path.is_file() else ' (absent)'}" for file in files]
    say(f"Files: {', '.join(found)}.")


@app.command()
def init(
    user: Annotated[
        bool, typer.Option("--user", help="Write your own file, for all folders; by default ./moma.toml.")
    ] = False,
    overwrite: options.Overwrite = False,
) -> None:
    """Write a moma.toml with all settings and their defaults, commented out."""
    from moma_app.config import file_template, user_config_file
    from moma_app.config.surroundings import FILE
    from moma_app.files import atomic_write_text

    path = user_config_file() if user else Path.cwd() / FILE
    if path.exists() and not overwrite:
        raise InputError(f"There is a file {path} already: edit it, or give --overwrite to begin anew.")
    try:
        atomic_write_text(path, file_template())
    except OSError as exc:
        raise InputError(f"The file {path} cannot be written ({exc.strerror or exc}).") from exc
    say(f"Wrote {path}. All of its lines are comments: take the # away before what you want to set.")


def _text(value: Any) -> str:
    if value is None or value == []:
        return "–"
    if isinstance(value, float):
        return f"{value:g}"
    return os.pathsep.join(value) if isinstance(value, list) else str(_public(value))


def _public(value: Any) -> Any:
    from moma_app.config.places import without_password

    return without_password(value) if isinstance(value, str) else value
