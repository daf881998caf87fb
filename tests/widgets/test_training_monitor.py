"""The TrainingMonitor follows real runs, stops them, and leaves no thread."""

from __future__ import annotations

import threading
import time

import pytest
from jupyter_bokeh import BokehModel

from moma_app.errors import UnknownNameError
from moma_app.jobs.jobs import Jobs
from moma_app.jobs.spec import RunSpec
from moma_app.tasks import get_task
from moma_app.training.outcome import FitReport
from moma_app.training.recipe import load_recipe
from moma_app.widgets import TrainingMonitor
from moma_app.work.finetune import finetune_spec

TASK = "elemental_bulk_modulus"


@pytest.fixture
def jobs():
    with Jobs(engine="inline") as inline:
        yield inline


def fit(epochs: int) -> RunSpec:
    """Describe a fit of the bare backbone."""
    recipe = load_recipe("finetune").with_fit(epochs=epochs, early_stopping=epochs)
    return finetune_spec(get_task(TASK), recipe, start="backbone", shots=10, device="cpu")


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("moma-monitor")]


def test_a_finished_run_is_shown_with_its_report_and_curve(jobs):
    run_id = jobs.submit(fit(2))
    monitor = TrainingMonitor(run_id[:10], jobs).wait()
    assert monitor.run_id == run_id
    assert monitor.state == "finished"
    assert monitor.outcome.state == "finished"
    assert isinstance(monitor.result, FitReport)
    assert monitor.result.metrics["mae"] > 0
    assert "Test MAE" in monitor._numbers.value
    assert isinstance(monitor._figure.children[0], BokehModel)
    page = monitor._repr_mimebundle_()["text/html"]
    assert "<polyline" in page
    assert "<script" not in page
    monitor.close()
    assert threads() == []
    by_outcome = TrainingMonitor(jobs.outcome(run_id), jobs).wait()
    assert by_outcome.result == monitor.result
    by_outcome.close()


def test_the_button_stops_a_run_and_the_curve_so_far_stays(jobs):
    runner = threading.Thread(target=lambda: jobs.submit(fit(500)))
    runner.start()
    (record,) = running(jobs)
    monitor = TrainingMonitor(record, jobs)
    until(lambda: monitor._progress.epochs)
    assert monitor.busy
    assert monitor.result is None
    assert not monitor.button.disabled
    monitor.button.click()
    monitor.wait(120)
    runner.join(120)
    assert monitor.state == "cancelled"
    assert monitor.outcome.state == "cancelled"
    assert monitor.result is None
    assert monitor.error is None
    assert "cancelled" in monitor._line.value
    assert jobs.record(record.id).state == "cancelled"
    monitor.close()
    until(lambda: threads() == [])


def test_closing_ends_the_watching_and_leaves_the_run_alone(jobs):
    runner = threading.Thread(target=lambda: jobs.submit(fit(500)))
    runner.start()
    (record,) = running(jobs)
    monitor = TrainingMonitor(record.id, jobs)
    monitor.close()
    assert threads() == []
    assert jobs.store.get(record.id).state == "running"
    jobs.cancel(record.id)
    runner.join(120)


def test_a_run_that_failed_says_why_in_one_sentence(jobs, capsys):
    recipe = load_recipe("finetune").with_fit(epochs=3, learning_rate=1e6)
    run_id = jobs.submit(finetune_spec(get_task(TASK), recipe, start="backbone", device="cpu"))
    monitor = TrainingMonitor(run_id, jobs).wait()
    assert monitor.state == "failed"
    assert "Training diverged" in monitor._line.value
    assert "moma-error" in monitor._line.value
    assert "Training diverged" in monitor.to_html()
    captured = capsys.readouterr()
    assert "Traceback" not in captured.out + captured.err
    monitor.close()


def test_there_must_be_such_a_run(jobs):
    with pytest.raises(UnknownNameError):
        TrainingMonitor("0123456789", jobs)


def running(jobs):
    until(lambda: jobs.store.runs(states=["running"]))
    return jobs.store.runs(states=["running"])


def until(holds, seconds: float = 200.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.1)
