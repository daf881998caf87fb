"""The Runs page without a browser: paging over many runs, words, differences, curves, what is downloaded."""

from __future__ import annotations

import io
import json
import shutil
import time
import zipfile

import pytest

from dashboards import runs_light, services
from dashboards.components.download import small_enough
from dashboards.components.run_log import log_text, readable
from dashboards.parts import run_pages, run_words
from dashboards.parts.run_actions import cancel_all, delete_all
from dashboards.parts.run_artefacts import Artefact, content_of, grouped
from dashboards.parts.run_compare import differing
from dashboards.parts.run_curves import by_axis, curve_of_events, curve_of_result, curve_of_run, drawing
from dashboards.parts.run_pages import ROWS, Wanted, look
from dashboards.parts.run_state import RunsState
from dashboards.parts.tracking import tracking_of
from moma_app.bench.work.runs_list import _copy
from moma_app.config import override
from moma_app.errors import InputError
from moma_app.jobs.record import Record
from moma_app.jobs.spec import RunSpec
from moma_app.jobs.store import RunStore
from moma_app.progress import EpochEnded, Note
from moma_app.training.outcome import Curve, FitReport

DEMO = "elemental_bulk_modulus"


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory):
    """A tracking store without runs; MLflow takes seconds to make one."""
    folder = tmp_path_factory.mktemp("store")
    RunStore(f"sqlite:///{folder}/runs.db", folder / "artefacts").prepare()
    return folder / "runs.db"


@pytest.fixture
def jobs(tmp_path, monkeypatch, empty_store):
    """The job layer as the pages see it, over an empty home."""
    monkeypatch.setattr(runs_light, "_LAST", (0.0, 0))
    (tmp_path / "home").mkdir()
    shutil.copy(empty_store, tmp_path / "home")
    with override({"home": tmp_path / "home", "engine": "inline"}):
        services._jobs.cache_clear()
        run_pages.forget()
        yield services.get_jobs()
    services._jobs.cache_clear()
    run_pages.forget()


def record_run(jobs, name="a run", state="finished", unit="compose", task=DEMO, metrics=None) -> str:
    run = jobs.store.create(RunSpec(unit, {"task": task, "k": 5}, name=name, task=task))
    jobs.store.change(run, state, started=1.0, ended=61.0, host="node7/ab/cd")
    jobs.store.metrics(run, metrics or {})
    return run


def fit(label="composed module", unit="eV", epochs=(1, 2, 3), **changes) -> FitReport:
    values = {
        "label": label, "start": "composed", "task": "t", "property": "gap", "unit": unit, "split": 0, "shots": None,
        "seed": 0, "metrics": {"mae": 0.1}, "ids": ["a"], "targets": [1.0], "predicted": [1.1],
        "curve": Curve(list(epochs), [0.3] * len(epochs), [0.5, 0.2, 0.4][: len(epochs)], [1e-3] * len(epochs)),
        "best_epoch": 2,
    }  # fmt: skip
    return FitReport(**{**values, **changes})


class TestPages:
    def test_pages_follow_each_other(self, jobs):
        ids = [record_run(jobs, f"run {n}") for n in range(ROWS + 3)]
        first, second = look(Wanted()), look(Wanted(sheet=2))
        shown = [record.id for record in (*first.records, *second.records)]
        assert sorted(shown) == sorted(ids)
        assert len(first.records) == ROWS
        assert (first.more, second.more) == (True, False)
        assert first.total == second.total == ROWS + 3

    def test_what_is_looked_for_is_found(self, jobs):
        good = record_run(jobs, "Fine-tune x", unit="finetune", task="mp_phonons")
        bad = record_run(jobs, "Compose y", state="failed")
        assert [r.id for r in look(Wanted(name="FINE-t")).records] == [good]
        assert [r.id for r in look(Wanted(states=("failed",))).records] == [bad]
        assert [r.id for r in look(Wanted(unit="finetune", task="mp_phonons")).records] == [good]
        assert look(Wanted(unit="finetune", task=DEMO)).total == 0

    def test_an_id_is_known_by_its_digits(self, jobs):
        run = record_run(jobs)
        start = next((run[:n] for n in range(6, 33) if run_pages.is_start_of_id(run[:n])), "")
        assert [r.id for r in look(Wanted(name=start)).records] == [run]
        other = "0" if run[0] != "0" else "1"
        assert look(Wanted(name=other * 8)).records == []
        assert not run_pages.is_start_of_id("faced")
        assert not run_pages.is_start_of_id("deface")

    def test_a_look_serves_all_sessions_until_something_is_done(self, jobs):
        record_run(jobs)
        first = look(Wanted())
        assert look(Wanted()) is first
        record_run(jobs)
        assert look(Wanted()) is first
        run_pages.forget()
        assert look(Wanted()).total == 2

    def test_ten_thousand_runs(self, jobs):
        run = record_run(jobs, "fine-tune", unit="finetune", metrics={f"m{n}": 0.5 for n in range(10)})
        _copy(jobs.settings.home / "runs.db", run, 9_999)
        for wanted in (
            Wanted(),
            Wanted(sheet=399),
            Wanted(name="tune"),
            Wanted(states=("finished",), unit="finetune"),
        ):
            run_pages.forget()
            started = time.perf_counter()
            page = look(wanted)
            assert time.perf_counter() - started < 2.0  # 20 to 50 ms on an idle machine
            assert page.total == 10_000
            assert len(page.records) == ROWS


class TestWords:
    def test_a_metric_has_the_unit_of_its_task(self):
        record = Record(
            "a" * 32, "n", "finetune", "finished", task=DEMO, metrics={"test_mae": 0.2557, "objective": 1.0}
        )
        assert run_words.metric_text(record) == "MAE 0.256 log10(GPa)"
        gone = Record("a" * 32, "n", "finetune", "finished", task="gone", metrics={"test_mae": 0.2557})
        assert run_words.metric_text(gone) == "MAE 0.256"
        assert run_words.metric_text(Record("a" * 32, "n", "x", "queued")) == ""

    def test_units_go_with_errors_only(self):
        assert run_words.metric_label("test_rmse", DEMO) == "test_rmse [log10(GPa)]"
        assert run_words.metric_label("test_r2", DEMO) == "test_r2"
        assert run_words.value_text(11.0) == "11"
        assert run_words.value_text(0.25571) == "0.2557"

    def test_the_state_says_how_far_it_is(self):
        record = Record("a" * 32, "n", "x", "running", progress=Note(message="", fraction=0.434))
        assert run_words.state_text(record) == "▶ running 43 %"

    @pytest.mark.parametrize(
        ("uri", "place", "link", "command"),
        [
            (
                "sqlite:////a b/runs.db",
                "sqlite:////a b/runs.db",
                "",
                "mlflow ui --backend-store-uri 'sqlite:////a b/runs.db'",
            ),
            ("https://me:secret@host:5000/x?token=secret", "https://host:5000/x", "https://host:5000/x", ""),
            ("postgresql://me:secret@host/db?password=secret", "postgresql://me:***@host/db", "", None),
        ],
    )
    def test_tracking_shows_no_password(self, uri, place, link, command):
        found = tracking_of(uri)
        assert (found.place, found.link) == (place, link)
        assert command is None or found.command == command
        assert "secret" not in f"{found}"


class TestActions:
    def test_cancelling_leaves_what_has_ended(self, jobs):
        ended = jobs.store.get(record_run(jobs))
        assert cancel_all([ended]) == 0

    def test_deleting(self, jobs):
        kept, gone = record_run(jobs, "kept"), jobs.store.get(record_run(jobs, "gone"))
        assert delete_all([gone, gone]) == 1
        assert [record.id for record in jobs.store.runs()] == [kept]

    def test_a_run_that_works_again_is_not_deleted(self, jobs):
        record = jobs.store.get(record_run(jobs))
        jobs.store.change(record.id, "queued", scheduler="")
        with pytest.raises(InputError, match="1 run of 1 work again"):
            delete_all([record])
        assert len(jobs.store.runs()) == 1


class TestArtefacts:
    def test_what_a_run_is_for_comes_first(self):
        names = [
            "events.jsonl",
            "other.txt",
            "predictor/a.json",
            "predictor/b.safetensors",
            "report.html",
            "spec.json",
        ]
        found = grouped(names)
        assert [item.name for item in found] == [
            "predictor",
            "report.html",
            "events.jsonl",
            "spec.json",
            "other.txt",
        ]
        assert found[0] == Artefact("predictor", 2)
        assert found[0].filename == "predictor.zip"
        assert found[0].meaning.endswith("2 files")

    def test_a_folder_comes_as_a_zip_file_and_a_file_as_it_is(self, jobs, tmp_path):
        run = record_run(jobs)
        folder = tmp_path / "predictor"
        (folder / "deep").mkdir(parents=True)
        (folder / "card.json").write_text("{}")
        (folder / "deep" / "x.bin").write_bytes(b"abc")
        jobs.store.keep(run, folder, "predictor")
        content = content_of(run, Artefact("predictor", 2))
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert sorted(archive.namelist()) == ["predictor/card.json", "predictor/deep/x.bin"]
            assert archive.read("predictor/deep/x.bin") == b"abc"
        assert json.loads(content_of(run, Artefact("spec.json", 0)))["unit"] == "compose"

    def test_a_page_refuses_what_is_too_large(self):
        small_enough(200_000_000, "-")
        with pytest.raises(InputError, match=r"201 MB.*: do this\."):
            small_enough(200_600_000, "do this")


class TestLog:
    def test_lines_are_readable(self):
        line = json.dumps(
            {"time": "2026-01-02T03:04:05.678+00:00", "level": "info", "message": "x", "traceback": "T"}
        )
        assert readable([line, "cut: {"]) == "2026-01-02 03:04:05  info     x\nT\ncut: {"

    def test_a_run_without_one_says_so(self, jobs):
        assert "not written a log" in log_text(record_run(jobs))


class TestComparing:
    def test_only_what_differs_is_told(self):
        values = [{"k": "5", "t": "1", "a": "x"}, {"k": "3", "t": "1"}]
        assert differing(values) == {"a": ["x", "–"], "k": ["5", "3"]}
        assert differing(values[:1]) == {}

    def test_curves_come_from_results_cards_and_events(self, jobs):
        assert curve_of_result({"fit": fit().to_dict()}, "a").series.best == (2, 0.2)
        assert curve_of_result({"fit": fit(curve=None).to_dict()}, "a") is None
        assert curve_of_result({"metrics": {}}, "a") is None
        epochs = [
            EpochEnded(
                epoch=n,
                epochs=9,
                train_error=1.0 / n,
                val_error=2.0 / n,
                learning_rate=0.1,
                seconds=1,
                structures_per_second=9,
            )
            for n in (1, 2, 2, 3)
        ]
        curve = curve_of_events(epochs, DEMO, "b")
        assert (curve.series.epochs, curve.unit) == ([1, 2, 3], "log10(GPa)")
        assert curve_of_events([Note(message="x")], DEMO, "b") is None
        assert curve_of_run(jobs.store.get(record_run(jobs))) is None

    def test_curves_of_one_unit_share_an_axis(self):
        pytest.importorskip("holoviews")
        curves = [
            curve_of_result({"fit": fit(label, unit).to_dict()}, label)
            for label, unit in (("a", "eV"), ("b", "eV"), ("c", "GPa"))
        ]
        groups = by_axis(curves)
        assert [[curve.series.label for curve in group] for group in groups] == [["a", "b"], ["c"]]
        drawn = drawing(groups[0])("dark")
        assert [element.label for element in drawn if element.label] == ["a", "b"]


def test_the_address_keeps_list_run_and_comparison():
    state = RunsState("?run=ab12&compare=ab12,cd34&state=failed&text=x+y&sheet=3&unit=compose")
    assert (state.run, state.compare, state.sheet) == ("ab12", ["ab12", "cd34"], 3)
    assert state.wanted() == Wanted(("failed",), "compose", None, "x y", 3)
    assert RunsState(state.query).query == state.query
    refused = RunsState("?state=odd&sheet=0&sheet=x")
    assert refused.wanted() == Wanted()
    assert len(refused.refused) == 3
