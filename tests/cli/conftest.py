"""The command line, run in this process."""

from __future__ import annotations

import pytest

from moma_app.cli import main


@pytest.fixture
def moma(capsys):
    """Run a command; return exit code, standard output, standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        code = stop.value.code
        return (code if isinstance(code, int) else 0), printed.out, printed.err

    return run


@pytest.fixture
def ok(moma):
    """Run a command that must succeed; return its standard output."""

    def run(*arguments: object) -> str:
        code, out, err = moma(*arguments)
        assert code == 0, err
        return out

    return run


@pytest.fixture
def refused(moma):
    """Run a command that must fail with one sentence; return it."""

    def run(*arguments: object) -> str:
        code, _, err = moma(*arguments)
        assert code == 1
        assert "Traceback" not in err
        return err.split("Error: ")[-1]

    return run
