"""Cards: read what was written, refuse everything else."""

from __future__ import annotations

import json

import pytest
from module_factory import make_card
from pydantic import ValidationError

from moma_app.errors import DamagedFileError
from moma_app.hub.card import Card, EpochRecord, Hardware, HeadInfo, Metrics, parse_card, read_card


def full_card():
    return make_card(
        metrics=Metrics(test_mae=0.25, test_mad=1.0, test_r2=0.8),
        curve=(EpochRecord(epoch=1, train_error=0.5, val_error=0.4, learning_rate=1e-3),),
        recipe={"name": "short-cpu", "nested": {"lr": 0.003}, "list": [1, None, "é"]},
        head=HeadInfo(config={"width": 64}, mean=1.5, std=0.3),
        hardware=Hardware(device="CPU", seconds=12.5, trainable_parameters=10, total_parameters=20),
        note="Å, α and 中文",
    )


@pytest.mark.parametrize("card", [make_card(), full_card()], ids=["least", "full"])
def test_a_card_survives_json(card):
    assert parse_card(card.model_dump_json(indent=1), "here") == card


def test_a_card_survives_a_file(tmp_path):
    path = tmp_path / "x.json"
    path.write_text(full_card().model_dump_json(), encoding="utf-8")
    assert read_card(path) == full_card()


def test_a_card_does_not_change():
    with pytest.raises(ValidationError):
        make_card().name = "other"


def test_error_relative_to_guessing_the_mean():
    assert full_card().metrics.mae_over_mad == 0.25
    assert Metrics().mae_over_mad is None
    assert Metrics(test_mae=0.25, test_mad=0.0).mae_over_mad is None


@pytest.mark.parametrize("name", ["a", "mp_kvrh", "A-1.b_2", "x" * 100, "9"])
def test_good_names(name):
    assert make_card(name).name == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".hidden",
        "a/b",
        "../a",
        "a\\b",
        "/etc/passwd",
        "a b",
        "a\n",
        "ä",
        "x" * 101,
        "a\0",
        "*",
        "-a",
    ],
)
def test_names_that_are_no_plain_file_names_are_refused(name):
    with pytest.raises(ValidationError, match="letters, digits"):
        make_card(name)
    data = json.loads(make_card().model_dump_json())
    with pytest.raises(DamagedFileError, match=r"The card .*name: "):
        parse_card(json.dumps({**data, "name": name}), "x.json")


@pytest.mark.parametrize(
    "file",
    [
        "../x.safetensors",
        "a/b.safetensors",
        "/etc/passwd",
        "..",
        "a..b.safetensors",
        "a\\b",
        ".x.safetensors",
        "a b",
    ],
)
def test_a_tensor_file_elsewhere_is_refused(file):
    data = {**json.loads(make_card().model_dump_json()), "file": file}
    with pytest.raises(DamagedFileError, match=r"The card x\.json cannot be read: file: .*must lie beside"):
        parse_card(json.dumps(data), "x.json")


def without(data, *path):
    *parents, last = path
    inner = data
    for key in parents:
        inner = inner[key]
    del inner[last]


@pytest.mark.parametrize(
    "path", [("name",), ("fingerprint",), ("kind",), ("target", "unit"), ("data", "hash")]
)
def test_a_missing_field_is_named(path):
    data = json.loads(make_card().model_dump_json())
    without(data, *path)
    with pytest.raises(DamagedFileError, match=rf"cannot be read: {'.'.join(path)}: Field required"):
        parse_card(json.dumps(data), "x.json")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"surprise": 1}, "surprise"),
        ({"kind": "half"}, "kind"),
        ({"layers": ["all"]}, "layers"),
        ({"format": 2}, "format"),
        ({"size": "large"}, "size"),
        ({"seed": 1.5}, "seed"),
        ({"target": "bulk modulus"}, "target"),
        ({"metrics": {"test_mae": "small"}}, "metrics.test_mae"),
        ({"metrics": {"mae": 1}}, "metrics.mae"),
        ({"curve": [{"epoch": 1}]}, "curve.0.train_error"),
        ({"head": {"config": {}, "mean": None, "std": 1}}, "head.mean"),
    ],
)
def test_what_is_wrong_is_named(change, field):
    data = {**json.loads(full_card().model_dump_json()), **change}
    with pytest.raises(DamagedFileError, match=rf"^The card x\.json cannot be read: {field}: ") as caught:
        parse_card(json.dumps(data), "x.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '"card"', "{}", "\x80PK", "[" * 100_000])
def test_what_is_no_card_is_refused(text):
    with pytest.raises(DamagedFileError, match=r"^The card x\.json cannot be read"):
        parse_card(text, "x.json")


@pytest.mark.parametrize("content", [b"\xff\xfe{}", b"\x00\x01", "{}".encode("utf-16")])
def test_a_file_that_is_no_text_is_refused(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"The card .*x\.json cannot be read"):
        read_card(path)


def test_a_folder_or_nothing_in_the_place_of_a_card(tmp_path):
    for path in (tmp_path, tmp_path / "nothing.json"):
        with pytest.raises(DamagedFileError, match="cannot be read"):
            read_card(path)


def test_every_field_is_described_or_plain():
    """The card is the module's documentation: its schema can be exported."""
    schema = Card.model_json_schema()
    assert schema["additionalProperties"] is False
    assert {"name", "backbone", "fingerprint", "kind", "target", "data", "sha256"} <= schema[
        "properties"
    ].keys()
