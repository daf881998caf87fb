"""A module that comes from elsewhere must have started from the weights that are here."""

from __future__ import annotations

import pytest
from module_factory import make_card, make_module, real_module, small_state

from moma_app.backbones.registry import get_backbone
from moma_app.errors import IncompatibleError
from moma_app.hub import Hub
from moma_app.hub.remote import add_file, export
from moma_app.hub.starting_point import check_starting_point

OTHER = "f" * 16


@pytest.fixture
def installed():
    return get_backbone("chgnet").fingerprint


@pytest.fixture
def hub(tmp_path):
    return Hub(tmp_path / "hub")


def exported(module, folder):
    return export(module.save(folder / "made"), folder / "sent")[1]


def test_the_installed_weights_are_welcome(hub, tmp_path, installed):
    file = exported(make_module("a", fingerprint=installed), tmp_path)
    assert add_file(hub, file).card.fingerprint == installed
    add_file(hub, exported(make_module("b", small_state(1), fingerprint=installed), tmp_path))
    assert list(hub) == ["a", "b"]


def test_other_weights_than_the_installed_are_refused_and_named(hub, tmp_path, installed):
    file = exported(make_module("a", fingerprint=OTHER), tmp_path)
    with pytest.raises(
        IncompatibleError,
        match=rf"^Module 'a' started from chgnet weights {OTHER}, but those installed here are {installed}: ",
    ) as caught:
        add_file(hub, file)
    assert "\n" not in str(caught.value)
    assert list(hub) == []


def test_other_weights_than_those_of_the_hub_are_refused_and_named(hub, tmp_path, installed):
    for name in ("old_a", "old_b"):
        hub.add(make_module(name, fingerprint=OTHER))
    file = exported(make_module("new", fingerprint=installed), tmp_path)
    with pytest.raises(
        IncompatibleError,
        match=rf"'new' started from chgnet weights {installed}, but the hub's other modules of chgnet "
        rf"\(2, 'old_a' for one\) started from {OTHER}: they cannot be merged",
    ):
        add_file(hub, file)
    assert "new" not in hub


def test_a_hub_that_has_both_takes_the_installed(hub, tmp_path, installed):
    hub.add(make_module("old", fingerprint=OTHER))
    hub.add(make_module("good", small_state(1), fingerprint=installed))
    check_starting_point(hub, make_card("new", fingerprint=installed))


def test_the_module_that_is_replaced_does_not_count(hub, installed):
    hub.add(make_module("a", fingerprint=OTHER))
    check_starting_point(hub, make_card("a", fingerprint=installed))
    with pytest.raises(IncompatibleError):
        check_starting_point(hub, make_card("b", fingerprint=installed))


def test_modules_of_another_backbone_do_not_count(hub, installed):
    hub.add(make_module("a", backbone="elsewhere", fingerprint=OTHER))
    check_starting_point(hub, make_card("b", fingerprint=installed))


@pytest.mark.parametrize("backbone", ["cgcnn", "not-installed-here"])
def test_nothing_is_asked_where_there_are_no_pretrained_weights(hub, tmp_path, backbone):
    """Each module of cgcnn may have an initialisation of its own."""
    for number in range(3):
        module = make_module(
            f"m{number}", small_state(number), backbone=backbone, fingerprint=str(number) * 16
        )
        add_file(hub, exported(module, tmp_path / str(number)))
    assert len(hub) == 3


def test_real_modules_of_both_backbones(hub, tmp_path):
    for backbone in ("chgnet", "cgcnn"):
        add_file(hub, exported(real_module(backbone, 1, backbone=backbone), tmp_path / backbone))
    assert list(hub) == ["cgcnn", "chgnet"]
