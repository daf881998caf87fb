"""What the Insights page says, with 1, 4, 40 and 400 modules: its matrices, stories and choices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from module_factory import make_card

from dashboards.parts.insights_agreement import overall
from dashboards.parts.insights_data import cards_of, maps_of, published_map
from dashboards.parts.insights_state import InsightsState, choices, plan_of
from moma_app.errors import InputError
from moma_app.experiments.agreement import agreement
from moma_app.experiments.matrix import InsightMatrix
from moma_app.experiments.published import parse
from moma_app.experiments.summary import Part, Summary
from moma_app.experiments.words import words_of
from moma_app.hub.card import Target
from moma_app.plots.insight_story import tell, tell_published

SIZES = (1, 4, 40, 400)
DEMO = "elemental_bulk_modulus"


def matrix_of(weights, errors, tasks=("mp_phonons",), unit="log10(cm⁻¹)"):
    """Compositions with given weights and proxy errors [n_splits][n_modules], the same for each task."""
    names = [f"module_{number:03d}" for number in range(len(weights[0]))]
    compositions = {}
    for task in tasks:
        for split, (row, proxies) in enumerate(zip(weights, errors, strict=True)):
            parts = tuple(
                Part(name, name, float(weight), float(error), float(error), "0" * 64)
                for name, weight, error in zip(names, row, proxies, strict=True)
            )
            compositions[task, split] = Summary(
                run=f"run{split}", task=task, unit=unit, split=split, shots=None, k=5, temperature=0.2, kind="full",
                weighting="amc", backbone="chgnet", objective=1.0, parts=parts, skipped=(), files={},
            )  # fmt: skip
    return InsightMatrix(
        tasks=tuple(tasks),
        modules=tuple(names),
        splits=tuple(range(len(weights))),
        trained_on={name: name for name in names},
        units=dict.fromkeys(tasks, unit),
        compositions=compositions,
    )


def drawn(n, splits=5, seed=0):
    """Weights that add up to 1, some of them 0, and errors above 0."""
    random = np.random.default_rng(seed)
    weights = random.exponential(size=(splits, n)) * (random.random((splits, n)) < 0.5)
    weights[:, 0] += 1e-3
    return weights / weights.sum(axis=1, keepdims=True), random.uniform(0.1, 1.0, (splits, n))


@pytest.mark.parametrize("n", SIZES)
def test_a_story_agrees_with_the_map(n):
    weights, errors = drawn(n)
    matrix = matrix_of(weights, errors)
    maps = maps_of(matrix, {})
    ours, proxies = maps["weights"], maps["proxy"]
    assert ours.units["mp_phonons"] == proxies.units["mp_phonons"] != ""
    for column in {0, n // 2, n - 1}:
        story = tell(matrix, "mp_phonons", matrix.modules[column])
        assert story.weight == pytest.approx(ours.values[0][column])
        assert story.proxy == pytest.approx(proxies.values[0][column])
        assert [line.rank for line in story.lines] == [1 + int((row > row[column]).sum()) for row in weights]
        assert story.ratio == pytest.approx((errors[:, column] / errors.min(axis=1)).mean())
        assert story.n_modules == n
        assert {line.best for line in story.lines} == {matrix.modules[row.argmin()] for row in errors}


@given(seed=st.integers(0, 10**6), n=st.integers(1, 12), splits=st.integers(1, 5))
def test_some_module_is_the_best_and_none_is_better(seed, n, splits):
    matrix = matrix_of(*drawn(n, splits, seed))
    stories = [tell(matrix, "mp_phonons", name) for name in matrix.modules]
    assert all(story.ratio >= 1 for story in stories)
    for split in range(splits):
        assert min(story.lines[split].rank for story in stories) == 1
        assert any(story.lines[split].proxy == story.lines[split].best_proxy for story in stories)


def test_a_story_in_words():
    matrix = matrix_of([[0.75, 0.25, 0.0], [0.5, 0.5, 0.0]], [[0.1, 0.2, 0.4], [0.1, 0.3, 0.4]])
    first, second = tell(matrix, "mp_phonons", "module_000").sentences()
    assert first == "Weight 0.625 ± 0.18, mean over 2 splits: place 1 of 3 modules; it has weight in 2 of 2."
    assert second == "Proxy error 0.100 log10(cm⁻¹): the lowest of all modules in every split."
    first, second = tell(matrix, "mp_phonons", "module_001").sentences()
    assert "place 1 to 2 of 3 modules" in first
    assert second == "Proxy error 0.250 log10(cm⁻¹): 2.50 times that of the best module (module_000)."
    assert tell(matrix, "mp_phonons", "other").sentences() == [
        "other has not been weighed for mp_phonons yet."
    ]


def test_a_single_module_has_a_story():
    (first, second) = tell(matrix_of([[1.0]], [[0.2]]), "mp_phonons", "module_000").sentences()
    assert first == "Weight 1.000, mean over 1 split: place 1 of 1 module; it has weight in 1 of 1."
    assert second.endswith("the lowest of all modules in every split.")


PUBLISHED = """split,task,module,weight
0,mp_phonons,mp_kvrh,0.25
0,mp_phonons,mp_gvrh,0.75
1,mp_phonons,mp_kvrh,1.0
0,expt_eform,mp_eform,1.0
"""


def test_published_weights_as_a_map_and_a_story(tmp_path):
    published = parse(PUBLISHED, tmp_path / "weights.csv")
    shown = published_map(published, [], (0, 1))
    assert shown.tasks == ["mp_phonons", "expt_eform"]
    assert len(shown.modules) == 18
    column = shown.modules.index("mp_kvrh")
    assert [row[column] for row in shown.values] == [0.625, 0.0]
    assert [row[column] for row in shown.splits] == [2, 1]
    assert shown.family("mp_kvrh") == "mechanical"
    assert published_map(published, ["expt_eform", DEMO], (0,)).tasks == ["expt_eform"]
    with pytest.raises(InputError, match="No weights were published"):
        published_map(published, [DEMO], (0,))
    said, by_split = tell_published(published, "mp_phonons", "mp_kvrh")
    assert said.startswith("Published weight 0.625 ± 0.53, mean over 2 splits: place 1 of 18 modules")
    assert by_split == {0: 0.25, 1: 1.0}
    assert tell_published(published, "mp_phonons", "my_module") == ("", {})
    assert tell_published(published, DEMO, "mp_kvrh") == ("", {})


def test_agreement_in_words(tmp_path):
    names = ("mp_kvrh", "mp_gvrh", "mp_eform")
    matrix = matrix_of([[0.6, 0.3, 0.1]], [[0.1, 0.2, 0.3]])
    ours = InsightMatrix(**{**vars(matrix), "trained_on": dict(zip(matrix.modules, names, strict=True))})
    rows = "".join(
        f"0,mp_phonons,{name},{weight}\n" for name, weight in zip(names, (0.5, 0.3, 0.2), strict=True)
    )
    found = agreement(ours, parse("split,task,module,weight\n" + rows, tmp_path / "weights.csv"))
    said = overall(found)
    assert said["Spearman ρ, all pairs"].startswith("1.00 (p = ")
    assert (said["Pairs n"], said["Modules compared"]) == ("3", "3")
    alone = agreement(
        matrix_of([[1.0]], [[0.1]]), parse("split,task,module,weight\n" + rows, tmp_path / "w.csv")
    )
    assert overall(alone)["Spearman ρ, all pairs"] == "–"


def write_cards(folder, backbones, kind="full"):
    folder.mkdir()
    for number, backbone in enumerate(backbones):
        card = make_card(
            f"module_{number:03d}",
            backbone=backbone,
            kind=kind,
            target=Target(task="mp_kvrh", property="bulk modulus", unit="log10(GPa)"),
            file=f"module_{number:03d}-0.safetensors",
            sha256="0" * 64,
        )
        (folder / f"{card.name}.json").write_text(card.model_dump_json())
    return str(folder)


@pytest.mark.parametrize("n", SIZES)
def test_hubs_of_all_sizes_can_be_chosen(tmp_path, monkeypatch, n):
    monkeypatch.setenv("MOMA_HOME", str(tmp_path / "home"))  # other tests have imported tasks into theirs
    hub = write_cards(tmp_path / "hub", ["chgnet"] * n)
    offered = choices(hub, "full")
    assert offered.backbones == {"chgnet": n}
    assert offered.default == (DEMO,)  # nothing else is on this machine
    state = InsightsState(f"?hub={hub}&splits=0,3")
    plan = plan_of(state, offered)
    assert (plan.tasks, plan.splits, plan.backbone) == ((DEMO,), (0, 3), "chgnet")
    assert plan.cells()[0].amc.modules == sorted(cards_of(hub))
    words = words_of([DEMO], cards_of(hub))
    assert set(words.families.values()) == {"mechanical"}


def test_one_backbone_is_chosen_where_a_hub_has_several(tmp_path):
    hub = write_cards(tmp_path / "hub", ["cgcnn", "chgnet", "cgcnn"])
    offered = choices(hub, "full")
    assert list(offered.backbones) == ["cgcnn", "chgnet"]
    assert plan_of(InsightsState(f"?hub={hub}"), offered).backbone == "cgcnn"
    assert plan_of(InsightsState(f"?hub={hub}&backbone=chgnet"), offered).backbone == "chgnet"


def test_what_cannot_be_planned_is_said(tmp_path):
    hub = write_cards(tmp_path / "hub", ["chgnet"])
    with pytest.raises(InputError, match="no adapter module"):
        plan_of(InsightsState(f"?hub={hub}&kind=adapter"), choices(hub, "adapter"))
    with pytest.raises(InputError, match="seed"):
        plan_of(InsightsState("?splits=-1"), choices(hub, "full"))
    with pytest.raises(InputError, match="at least one"):
        plan_of(InsightsState("?splits=,"), choices(hub, "full"))
    with pytest.raises(InputError, match="There is no hub"):
        choices(str(tmp_path / "nowhere"), "full")


def test_the_address_holds_all_of_it():
    query = (
        "?view=proxy&order=family&hub=builtin&tasks=mp_phonons&splits=1%2C2&task=mp_phonons&module=mp_kvrh"
    )
    state = InsightsState(query)
    assert state.refused == []
    assert InsightsState(state.query).query == state.query == query
    assert InsightsState("?view=other&splits=a").refused == ["view=other", "splits=a"]
