"""The dashboard is a face: it loads nothing heavy, and nothing depends on it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import dashboards
import moma_app

PACKAGE = Path(dashboards.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))


def test_pages_load_nothing_heavy():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            """
import sys, importlib
import dashboards.server, dashboards.shell
from dashboards.pages import PAGES
for page in PAGES:
    importlib.import_module(f"dashboards.pages.{page.slug.replace('-', '_')}")
heavy = {"torch", "lightning", "pymatgen", "matminer", "chgnet", "sklearn", "mlflow", "distributed"} & set(sys.modules)
assert not heavy, heavy
""",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_page_computes(path):
    """Networks, fits and compositions run in workers: a page imports none of the rooms that do the work."""
    names = {
        name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module
        for name in [node.module]
    }
    does_work = ("moma_app.backbones", "moma_app.native", "moma_app.amc.compose", "moma_app.amc.merge")
    assert not [name for name in names if name.startswith(does_work)]
    assert not names & {"torch", "lightning", "pymatgen", "matminer"}


def test_only_the_command_knows_the_dashboard():
    root = Path(moma_app.__file__).parent
    users = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if "from dashboards" in path.read_text(encoding="utf-8")
    }
    assert users == {"cli/dashboard.py"}
