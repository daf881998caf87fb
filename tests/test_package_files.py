"""What a wheel takes along: every file of the packages that is no Python."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PATTERNS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"][
    "package-data"
]


@pytest.mark.parametrize("package", ["moma_app", "dashboards"])
def test_every_file_is_package_data(package):
    listed = subprocess.run(
        ["git", "ls-files", package], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    files = {ROOT / name for name in listed if not name.endswith(".py")}
    taken = {path for pattern in PATTERNS[package] for path in (ROOT / package).glob(pattern)}
    assert files
    assert files <= taken
