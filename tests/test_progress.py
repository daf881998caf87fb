"""Progress events are plain values that survive JSON."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError

import pytest

from moma_app import progress
from moma_app.progress import (
    EVENT_TYPES,
    EpochEnded,
    Event,
    FitEnded,
    ModuleEncoded,
    Note,
    RunChanged,
    Step,
    Warned,
    WeightsSolved,
    event_from_dict,
    silent,
)

EVENTS = [
    Step(what="graphs built", done=3, total=7, fraction=3 / 7),
    Note(message="Å"),
    Warned(message="Module x is left out."),
    ModuleEncoded(
        module="x", index=0, total=2, proxy_mae=0.1, proxy_mae_standardised=0.5, seconds=1.5, fraction=0.5
    ),
    WeightsSolved(weights={"x": 0.25, "y": 0.75}, objective=0.3, fraction=1.0),
    EpochEnded(
        epoch=1,
        epochs=9,
        train_error=0.5,
        val_error=0.6,
        learning_rate=1e-3,
        seconds=2.0,
        structures_per_second=50.0,
    ),
    FitEnded(epochs=9, best_epoch=4, best_val_error=0.4, reason="no better for 5 epochs", seconds=20.0),
    RunChanged(state="failed", message="Out of patience.", run="1a2b3c4d5e", fraction=1.0),
]
WORDS = [
    "graphs built: 3/7",
    "Å",
    "Module x is left out.",
    "module 1/2 x: proxy MAE 0.1 (1.5 s)",
    "weights solved, objective 0.3",
    "epoch 1/9: train 0.5, val 0.6 (2.0 s)",
    "fit ended (no better for 5 epochs); best epoch 4, val 0.4",
    "run 1a2b3c4d failed: Out of patience.",
]


def test_every_event_has_its_words():
    assert [event.describe() for event in EVENTS] == WORDS
    assert RunChanged(state="queued").describe() == "waiting for a worker"


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_an_event_survives_json(event):
    data = json.loads(json.dumps(event.to_dict()))
    assert data["event"] == type(event).__name__ == event.kind
    assert event_from_dict(data) == event
    assert data["event"] == event.kind, "the dictionary is not used up"


def test_every_event_type_is_registered_and_has_an_example():
    defined = {
        cls
        for cls in vars(progress).values()
        if isinstance(cls, type) and issubclass(cls, Event) and cls is not Event
    }
    assert set(EVENT_TYPES.values()) == defined == {type(event) for event in EVENTS}
    assert all(name == cls.__name__ for name, cls in EVENT_TYPES.items())


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({"event": "Explosion"}, KeyError),
        ({"message": "hello"}, KeyError),
        ({"event": "Note"}, TypeError),
        ({"event": "Note", "message": "x", "colour": "red"}, TypeError),
    ],
)
def test_what_is_no_event_is_refused(data, error):
    with pytest.raises(error):
        event_from_dict(data)


def test_events_do_not_change():
    with pytest.raises(FrozenInstanceError):
        EVENTS[0].done = 5


def test_the_fraction_is_optional_and_silence_is_a_listener(capsys):
    assert Note(message="x").fraction is None
    assert silent(Note(message="x")) is None
    assert capsys.readouterr() == ("", "")
