"""The ``moma`` command."""

from moma_app.cli.app import main

__all__ = ["main"]
