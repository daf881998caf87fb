"""The command line's frame: groups of commands, and errors in one sentence."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, cast

import typer
from rich.markup import escape

from moma_app import __version__
from moma_app.cli import (
    bench,
    compose,
    config,
    dashboard,
    demo,
    doctor,
    experiments,
    finetune,
    hub,
    insights,
    lab,
    predict,
    runs,
    tasks,
    workers,
)
from moma_app.cli.output import err, out
from moma_app.errors import MomaError

INTERRUPTED = 130
UsageError = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])
"""Wrong usage; Typer has its own copy of Click or uses Click itself, depending on its version."""

app = typer.Typer(
    name="moma",
    help="Modular deep learning for material property prediction: compose trained modules for a small dataset.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(tasks.app, name="tasks")
app.add_typer(hub.app, name="hub")
app.command("compose")(compose.compose)
app.command("finetune")(finetune.finetune)
app.command("predict")(predict.predict)
app.command("demo")(demo.demo)
app.command("bench")(bench.bench)
app.add_typer(experiments.app, name="experiments")
app.add_typer(insights.app, name="insights")
app.add_typer(runs.app, name="runs")
app.add_typer(workers.app, name="workers")
app.command("dashboard")(dashboard.dashboard)
app.command("lab")(lab.lab)
app.add_typer(config.app, name="config")
app.command("doctor")(doctor.doctor)


def _version(value: bool) -> None:
    if value:
        out.print(f"moma-app {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Set this for once; `moma config show` lists all keys."
        ),
    ] = None,
    config_file: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Read this configuration file and no other."),
    ] = None,
    log_level: Annotated[
        str | None,
        typer.Option(
            "--log-level",
            metavar="LEVEL",
            help="Of runs' log files: debug, info, warning or error.",
        ),
    ] = None,
    version: Annotated[  # noqa: ARG001 - its callback does it all
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Modular deep learning for material property prediction."""
    flags = dict(map(_assignment, assignments or []))
    if log_level is not None:
        flags["log_level"] = log_level
    if not flags and config_file is None:
        return
    from moma_app.config import set_flags

    set_flags(flags, config_file)
    context.call_on_close(set_flags)  # another command in the same process begins without them


def _assignment(text: str) -> tuple[str, str]:
    key, mark, value = text.partition("=")
    if not mark:
        raise typer.BadParameter(f"--set takes KEY=VALUE, such as --set device=cpu, but was given {text!r}.")
    return key.strip(), value.strip()


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 a problem with the input, 2 wrong usage, 130 interrupted."""
    try:
        code = app(args=arguments, standalone_mode=False)
    except MomaError as exc:
        err.print(f"[bold red]Error:[/] {escape(str(exc))}", highlight=False, soft_wrap=True)
        sys.exit(1)
    except UsageError as exc:
        exc.show()
        sys.exit(exc.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone, as `moma tasks list | head` does
        sys.exit(0)
    if code == INTERRUPTED:  # some versions of Typer turn the interruption into this code themselves
        err.print(
            "Stopped. What was finished is kept; the same command with --resume goes on.", highlight=False
        )
    sys.exit(code if isinstance(code, int) else 0)
