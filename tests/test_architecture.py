"""The house keeps its order: who imports whom, what importing costs, what is never done."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import moma_app

ROOT = Path(moma_app.__file__).parent
FOUNDATIONS = {
    "choices",
    "errors",
    "config",
    "progress",
    "files",
    "structures",
    "formulas",
    "runtime",
    "native",
    "markup",
    "text",
    "display",
}
MAY_IMPORT = {
    "tasks": set(),
    "backbones": set(),
    "hub": {"backbones"},
    "amc": {"hub", "backbones", "tasks"},
    "training": {"hub", "backbones", "tasks"},
    "plots": set(),
    "jobs": set(),
    "work": {"tasks", "backbones", "hub", "amc", "training", "plots", "jobs"},
    "bench": {"tasks", "backbones", "hub", "amc", "training", "jobs"},
    "doctor": {"tasks", "backbones", "hub", "jobs"},
    "lab": set(),
    "experiments": {"tasks", "hub", "amc", "training", "work", "jobs"},
    "cli": {
        "tasks",
        "backbones",
        "hub",
        "amc",
        "training",
        "plots",
        "bench",
        "doctor",
        "experiments",
        "jobs",
        "lab",
        "work",
    },
    "widgets": {"tasks", "hub", "amc", "training", "plots", "experiments", "jobs"},
}


def imports_of(path: Path, *, typing: bool) -> set[str]:
    """Names of our modules that a file imports; without those under TYPE_CHECKING unless asked for."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not typing:
            return
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("moma_app."):
            found.add(node.module or "")
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_one_way(path):
    room = path.relative_to(ROOT).parts[0].removesuffix(".py")
    if room in ("__init__", "__main__"):
        return
    allowed = FOUNDATIONS | MAY_IMPORT.get(room, set()) | {room}
    used = {module.split(".")[1] for module in imports_of(path, typing=False)}
    if room in FOUNDATIONS:
        allowed = FOUNDATIONS
    assert used <= allowed, f"{path.name} of {room} imports {sorted(used - allowed)}"


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_from_outside_is_unpickled(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert not called.startswith(("pickle.", "joblib.load", "np.load", "numpy.load"))
            if called == "torch.load":
                assert any(k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in node.keywords)


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_forward_training_and_amc_need_only_torch_numpy_safetensors():
    """A bare GPU machine has no pymatgen, chgnet or pydantic; Lightning it has."""
    done = run_python(
        """
import sys

class Absent:
    names = {"pymatgen", "chgnet", "ase", "pydantic", "pydantic_settings", "pyarrow", "matminer", "cvxpy",
             "holoviews", "bokeh", "typer", "platformdirs"}
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
import moma_app.backbones.chgnet, moma_app.backbones.inference, moma_app.backbones.cache
import moma_app.amc.knn, moma_app.amc.merge, moma_app.amc.weights, moma_app.hub.encode
import moma_app.training.loop, moma_app.training.model
import torch
from moma_app.amc.knn import knn_predictions
assert len(knn_predictions(torch.randn(20, 4), list(range(20)))) == 20
"""
    )
    assert done.returncode == 0, done.stderr


def test_a_face_defines_work_without_loading_what_does_it():
    """Commands and dashboards stay light: PyTorch lives in the workers."""
    done = run_python(
        """
import sys
from pathlib import Path
from moma_app.amc.result import AMCResult
from moma_app.jobs.jobs import Jobs
from moma_app.tasks import get_task
from moma_app.training.outcome import FitReport
from moma_app.training.recipe import load_recipe
from moma_app.work.compose import compose_spec
from moma_app.work.finetune import finetune_spec
from moma_app.work.predict import predict_spec
from moma_app.work.train import train_spec
from moma_app.experiments.ablation import Ablation
from moma_app.experiments.continual import Continual
from moma_app.experiments.few_shot import FewShot
from moma_app.experiments.insights import Insights
from moma_app.experiments.standing import progress

task = get_task("elemental_bulk_modulus")
finetune_spec(task, load_recipe("finetune"))
compose_spec(task)
train_spec(task, load_recipe("short-cpu"))
predict_spec([Path(sys.executable)], hub="builtin")
progress(Ablation(tasks=(task.name,), hub="builtin"), Jobs())
progress(Insights(tasks=(task.name,), hub="builtin"), Jobs())
heavy = {"torch", "lightning", "mlflow", "distributed", "pandas", "pymatgen", "sklearn"} & set(sys.modules)
assert not heavy, heavy
"""
    )
    assert done.returncode == 0, done.stderr


def test_a_face_changes_weights_and_says_where_errors_are_without_torch():
    """A dashboard does this in its own process, while a control moves."""
    done = run_python(
        """
import sys
import moma_app.amc.reweigh, moma_app.amc.stored, moma_app.training.analysis
heavy = {"torch", "pymatgen", "pandas", "scipy", "cvxpy"} & set(sys.modules)
assert not heavy, heavy
"""
    )
    assert done.returncode == 0, done.stderr


def test_importing_the_package_is_cheap_and_silent():
    done = run_python(
        "import sys, moma_app, moma_app.tasks, moma_app.hub, moma_app.cli\n"
        "heavy = {'torch', 'pymatgen', 'matminer', 'pandas', 'lightning', 'holoviews', 'sklearn'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == done.stderr == ""


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_only_the_widgets_know_the_packages_that_draw_them(path):
    if path.relative_to(ROOT).parts[0] == "widgets":
        return
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert not imported & {"ipywidgets", "jupyter_bokeh", "IPython"}


def test_without_the_extra_a_sentence_says_what_the_widgets_need():
    done = run_python(
        """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"ipywidgets", "jupyter_bokeh"}:
            raise ModuleNotFoundError(name=name)

sys.meta_path.insert(0, Absent())
import moma_app.widgets
from moma_app.errors import MissingDependencyError
try:
    from moma_app.widgets import Composer
except MissingDependencyError as exc:
    assert str(exc) == "The widgets need ipywidgets: pip install 'moma-app[lab]'.", exc
else:
    raise AssertionError("it came without ipywidgets")
"""
    )
    assert done.returncode == 0, done.stderr
