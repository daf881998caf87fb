"""``python -m moma_app`` is the ``moma`` command."""

from moma_app.cli import main

main()
