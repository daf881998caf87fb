"""A run's events keep their order and their last state, whoever reads when."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from moma_app.jobs.events import Reader, Writer, read
from moma_app.progress import EVENT_TYPES, EpochEnded, Note, RunChanged, Step, event_from_dict

texts = st.text(max_size=30)
events = st.one_of(
    st.builds(Note, message=texts),
    st.builds(RunChanged, state=texts, message=texts, fraction=st.none() | st.floats(0, 1)),
)


@given(st.lists(events, max_size=20))
def test_what_is_written_is_read(tmp_path_factory, told):
    path = tmp_path_factory.mktemp("events") / "events.jsonl"
    writer = Writer(path)
    for event in told:
        writer(event)
    assert [entry.event for entry in read(path)] == told
    assert [entry.number for entry in read(path)] == list(range(len(told)))


def test_a_growing_file_is_read_in_steps(tmp_path):
    writer, reader = Writer(tmp_path / "e"), Reader(tmp_path / "e")
    assert list(reader.new()) == []
    writer(Note(message="one"))
    assert [entry.event.message for entry in reader.new()] == ["one"]
    writer(Note(message="two"))
    writer(Note(message="three"))
    assert [entry.event.message for entry in reader.new()] == ["two", "three"]


def test_half_a_line_waits(tmp_path):
    path = tmp_path / "e"
    Writer(path)(Note(message="whole"))
    with path.open("a") as stream:
        stream.write('{"number": 1, "time": 0, "event": "No')
    reader = Reader(path)
    assert len(list(reader.new())) == 1
    with path.open("a") as stream:
        stream.write('te", "message": "rest", "fraction": null}\n')
    assert [entry.event.message for entry in reader.new()] == ["rest"]


def test_a_killed_writer_costs_its_last_line_only(tmp_path):
    path = tmp_path / "e"
    first = Writer(path)
    first(Note(message="one"))
    with path.open("a") as stream:
        stream.write('{"number": 1, "ti')
    second = Writer(path)
    second(Note(message="two"))
    assert [(entry.number, entry.event.message) for entry in read(path)] == [(0, "one"), (1, "two")]


def test_fast_counters_are_thinned_but_never_their_end(tmp_path):
    writer = Writer(tmp_path / "e")
    for done in range(1, 1001):
        writer(Step(what="rows", done=done, total=1000, fraction=done / 1000))
    steps = [entry.event.done for entry in read(tmp_path / "e")]
    assert len(steps) < 50
    assert steps[0] == 1
    assert steps[-1] == 1000


def test_several_threads_write_whole_lines_with_their_own_numbers(tmp_path):
    writer = Writer(tmp_path / "e")

    def work(name):
        for number in range(50):
            writer(Note(message=f"{name}-{number}"))

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = read(tmp_path / "e")
    assert [entry.number for entry in entries] == list(range(200))
    for name in "abcd":
        mine = [entry.event.message for entry in entries if entry.event.message.startswith(name)]
        assert mine == [f"{name}-{number}" for number in range(50)]


def test_an_event_of_a_later_version_is_passed_over(tmp_path):
    path = tmp_path / "e"
    path.write_text('{"number": 0, "time": 1, "event": "FromTheFuture", "fraction": 1}\n')
    Writer(path)(Note(message="known"))
    assert [entry.event.message for entry in read(path)] == ["known"]


def test_all_event_types_survive_json():
    for name, kind in EVENT_TYPES.items():
        values = {
            field: 1 if kind_ != "str" else "x"
            for field, kind_ in kind.__dataclass_fields__.items()
            if field != "weights"
        }
        event = kind(**values, **({"weights": {"a": 1.0}} if "weights" in kind.__dataclass_fields__ else {}))
        assert event_from_dict(event.to_dict()) == event, name
    assert EpochEnded in EVENT_TYPES.values()
