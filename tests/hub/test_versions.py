"""Semantic versions: what is one, and which is higher."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from module_factory import make_card

from moma_app.errors import InputError
from moma_app.hub.card import Data, EpochRecord, Metrics, Target
from moma_app.hub.changes import changes_between, described, part_of, shown
from moma_app.hub.versions import PARTS, Version, is_version

IN_ORDER = [
    "0.9.10",
    "1.0.0-1",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "1.0.1",
    "1.2.0",
    "1.10.0",
    "2.0.0",
]
"""The example of semver.org, and more."""


def test_the_order_is_that_of_semver():
    assert sorted(set(IN_ORDER), key=Version) == IN_ORDER
    for lower, higher in pairwise(IN_ORDER):
        assert Version(lower) < Version(higher)
        assert Version(higher) > Version(lower)
    assert Version("1.0.0+linux") == Version("1.0.0")
    assert str(Version("1.0.0+linux")) == "1.0.0+linux"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1.0",
        "v1.0.0",
        "1.0.0.0",
        "01.0.0",
        "1.0.0-",
        "1.0.0-01",
        "1.0.0 ",
        "1.0.-1",
        "٣.0.0",
        "1.0.0\n",
    ],
)
def test_what_is_no_version_is_refused(text):
    assert not is_version(text)
    with pytest.raises(InputError, match="is no semantic version: write MAJOR"):
        Version(text)


numbers = st.integers(0, 10**6)


@given(numbers, numbers, numbers, st.sampled_from(PARTS))
def test_counting_up_gives_a_higher_version_and_resets_what_follows(major, minor, patch, part):
    old = Version(f"{major}.{minor}.{patch}")
    new = old.bumped(part)
    assert new > old
    place = {"major": 0, "minor": 1, "patch": 2}[part]
    assert new.numbers[:place] == old.numbers[:place]
    assert new.numbers[place] == old.numbers[place] + 1
    assert not any(new.numbers[place + 1 :])


def test_a_release_follows_its_candidates():
    assert str(Version("1.2.0-rc.1").bumped("patch")) == "1.2.0"


class TestWhatCountsUp:
    """Each change of a card counts up one part of the module's version."""

    @pytest.mark.parametrize(
        ("changes", "part"),
        [
            ({}, None),
            ({"version": "3.1.4", "file": "x.safetensors"}, None),
            ({"note": "better described"}, "patch"),
            ({"licence": "CC-BY-4.0"}, "patch"),
            ({"metrics": Metrics(test_mae=0.2)}, "patch"),
            ({"storage": "float16", "sha256": "b" * 64, "size": 5}, "patch"),
            (
                {"target": Target(task="mp_kvrh", property="bulk modulus, spelled out", unit="log10(GPa)")},
                "patch",
            ),
            ({"curve": (EpochRecord(epoch=1, train_error=1, val_error=1, learning_rate=1),)}, "patch"),
            ({"sha256": "b" * 64}, "minor"),
            ({"recipe": {"name": "short-cpu", "fit": {"epochs": 30}}}, "minor"),
            ({"seed": 1}, "minor"),
            ({"created": "2026-03-04T00:00:00Z"}, "minor"),
            ({"data": Data(source="mine", rows_train=99, rows_val=1, rows_test=1, hash="1" * 64)}, "minor"),
            ({"storage": "float16", "sha256": "b" * 64, "seed": 1}, "minor"),
            ({"fingerprint": "f" * 16}, "major"),
            ({"kind": "adapter"}, "major"),
            ({"layers": "last"}, "major"),
            ({"target": Target(task="mp_kvrh", property="property of mp_kvrh", unit="GPa")}, "major"),
        ],
    )
    def test_by_field(self, changes, part):
        old = make_card(sha256="a" * 64)
        new = make_card(**{"sha256": "a" * 64, **changes})
        assert part_of(changes_between(old, new)) == part

    def test_nested_fields_are_named_from_the_outside(self):
        old = make_card(recipe={"name": "a", "fit": {"epochs": 10, "loss": "mae"}})
        new = make_card(recipe={"name": "a", "fit": {"epochs": 3000, "loss": "mae", "ema": 0.99}})
        assert changes_between(old, new) == (
            ("recipe.fit.epochs", 10, 3000),
            ("recipe.fit.ema", None, 0.99),
        )
        assert described(changes_between(old, new)) == "recipe.fit.epochs 10 → 3,000; recipe.fit.ema – → 0.99"

    @pytest.mark.parametrize(
        ("value", "text"),
        [(None, "–"), (True, "yes"), (12345, "12,345"), (0.123456, "0.1235"), ("a" * 64, "a" * 12 + "…")],
    )
    def test_values_are_short(self, value, text):
        assert shown(value) == text
