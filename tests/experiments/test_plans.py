"""Plans as values: what they list, how they travel, what they refuse."""

from __future__ import annotations

import json

import pytest
from module_factory import make_module

from moma_app.errors import DataNotFoundError, InputError, UnknownNameError
from moma_app.experiments.ablation import Ablation
from moma_app.experiments.continual import Continual, modules_before
from moma_app.experiments.few_shot import FewShot
from moma_app.experiments.insights import Insights
from moma_app.experiments.methods import ABLATION, get_method
from moma_app.hub.hub import Hub
from moma_app.work.composing import AMC

TASK = "elemental_bulk_modulus"


@pytest.fixture
def hub(tmp_path):
    """A hub of three full modules, made one after another, and an adapter."""
    made = Hub(tmp_path / "hub")
    for number, name in enumerate(("first", "second", "third")):
        made.add(make_module(name, created=f"2026-01-0{number + 1}T00:00:00Z"))
    made.add(make_module("adapter", kind="adapter"))
    return str(tmp_path / "hub")


@pytest.mark.parametrize(
    "plan",
    [
        Ablation(tasks=(TASK,), splits=(0, 1), options={"instant": {}}),
        FewShot(tasks=(TASK,), shots=(None, 20, 10)),
        Continual(tasks=(TASK,), before=("first",), hub="somewhere"),
        Insights(tasks=(TASK,), modules=("mp_kvrh",)),
    ],
    ids=lambda plan: plan.name,
)
def test_a_plan_goes_to_json_and_back(plan):
    text = json.dumps(plan.to_dict())
    assert type(plan).from_dict(json.loads(text)) == plan
    with pytest.raises(InputError, match="no plan of an experiment"):
        type(plan).from_dict({**plan.to_dict(), "plan": "another"})


def test_an_ablation_has_every_method_on_every_split(home):
    plan = Ablation.make(tasks=[TASK, TASK], splits=[0, 3], hub="builtin", shots=20)
    cells = plan.cells()
    assert [(c.method, c.split) for c in cells] == [(m, s) for m in ABLATION for s in (0, 3)]
    weightings = {c.method: c.spec.arguments["of"]["amc"].get("weighting", "amc") for c in cells}
    assert weightings == {m: m if m != "bare" else "amc" for m in ABLATION}
    assert all(c.spec.arguments["of"]["shots"] == 20 for c in cells)
    assert [c.spec.arguments["of"]["bare"] for c in cells if c.method == "bare"] == [True, True]


def test_few_shot_leaves_out_what_cannot_be_drawn(home):
    plan = FewShot.make(tasks=[TASK], shots=[100, None, 10, 48, 49], hub="builtin")
    assert plan.shots == (10, 48, 49, 100, None)
    assert {c.shots for c in plan.cells()} == {10, 48, None}, "49 rows are all there are"
    assert [c.size.train for c in plan.cells() if c.method == "bare"] == [10, 48, 49]


def test_continual_compares_two_hubs(home, hub):
    plan = Continual.make(tasks=[TASK], before=["first", "second"], hub=hub)
    assert [(c.group, c.amc.modules) for c in plan.cells()] == [
        ("before", ["first", "second"]),
        ("after", ["first", "second", "third"]),
    ]
    assert len({c.digest for c in plan.cells()}) == 2
    assert modules_before(hub, "third") == ("first", "second")
    with pytest.raises(InputError, match="No module of the hub is older than first"):
        modules_before(hub, "first")
    with pytest.raises(InputError, match="does not grow"):
        Continual.make(tasks=[TASK], before=["first", "second", "third"], hub=hub).cells()


def test_a_cell_of_another_hub_of_the_same_names_is_other_work(home, hub):
    plan = Ablation.make(tasks=[TASK], methods=["amc", "bare"], hub=hub)
    before = {c.method: c.digest for c in plan.cells()}
    module = make_module("first", created="2026-02-01T00:00:00Z", note="trained anew")
    changed = {name: tensor + 1 for name, tensor in module.memory.items()}
    Hub.open(hub).add(make_module("first", changed), overwrite=True)
    after = {c.method: c.digest for c in plan.cells()}
    assert after["amc"] != before["amc"]
    assert after["bare"] == before["bare"]


def test_methods_are_rules_or_single_modules():
    amc = AMC("builtin", ["a", "b"], k=3)
    assert get_method("random").settings(amc).weighting == "random"
    assert get_method("module:b").settings(amc).modules == ["b"]
    assert get_method("bare").settings(amc) == AMC()
    with pytest.raises(UnknownNameError, match="did you mean best-single"):
        get_method("best")
    with pytest.raises(UnknownNameError):
        get_method("module:")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"tasks": []}, "tasks cannot be .*at least one is needed"),
        ({"splits": [-1]}, "a seed must be 0 or more"),
        ({"k": 0}, "k cannot be 0"),
        ({"methods": ["averge"]}, "no method called 'averge': did you mean"),
        ({"task": [TASK]}, "no setting of the plan ablation called 'task': did you mean tasks"),
        ({"options": {"finetune": {"epochs": 3}}}, "no learner in this plan called 'finetune'"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(changes, sentence):
    with pytest.raises(InputError, match=sentence):
        Ablation.make(**{"tasks": [TASK], **changes})


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"tasks": ["mp_phonon"]}, UnknownNameError, "did you mean mp_phonons"),
        ({"tasks": ["mp_phonons"]}, DataNotFoundError, "moma tasks fetch mp_phonons"),
        ({"tasks": ["mp_is_metal"]}, InputError, "is a classification"),
        ({"learners": ["finetun"]}, UnknownNameError, "did you mean finetune"),
        ({"methods": ["scratch"]}, InputError, "scratch is not for the learner instant"),
        ({"modules": ["mp_kvhr"]}, UnknownNameError, "did you mean mp_kvrh"),
        ({"kind": "adapter", "hub": "clean"}, InputError, "no adapter module to compose"),
        ({"hub": "/nowhere"}, InputError, "no hub at /nowhere"),
        ({"options": {"instant": {"epochs": 3}}}, UnknownNameError, "option of the learner instant"),
        (
            {"learners": ["finetune"], "options": {"finetune": {"epochs": 0}}},
            InputError,
            "epochs of the learner finetune cannot be 0",
        ),
    ],
)
def test_cells_that_cannot_be_done_are_refused_before_any_work(home, changes, error, sentence):
    plan = Ablation.make(**{"tasks": [TASK], "hub": "builtin", **changes})
    with pytest.raises(error, match=sentence):
        _ = [cell.spec for cell in plan.cells()]


def test_a_learner_gets_its_options(home):
    plan = Ablation.make(
        tasks=[TASK],
        learners=["instant", "finetune"],
        methods=["amc", "scratch"],
        options={"finetune": {"epochs": "3", "max_atoms": 12}},
        hub="builtin",
    )
    cells = plan.cells()
    assert [(c.learner, c.method) for c in cells] == [
        ("instant", "amc"),
        ("finetune", "amc"),
        ("finetune", "scratch"),
    ]
    recipe = cells[1].spec.arguments["of"]["recipe"]
    assert (recipe["fit"]["epochs"], recipe["max_atoms"]) == (3, 12)
