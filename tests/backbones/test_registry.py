from __future__ import annotations

import sys
import textwrap

import numpy as np
import pytest
import torch

from moma_app.backbones.base import Backbone, crystal_embedding
from moma_app.backbones.registry import GROUP, backbone_names, get_backbone
from moma_app.errors import IncompatibleError, MissingDependencyError, MomaError, UnknownNameError

TINY = '''
"""A third party's backbone: one number per atom, averaged over neighbours within 5 Å."""

import torch
from torch import nn

from moma_app.backbones.base import Backbone, BackboneInfo, Network, as_crystal
from moma_app.backbones.graphs import Field, Graph, Schema
from moma_app.backbones.neighbors import find_neighbors
from moma_app.backbones.segments import EdgeIndex, gather, scatter_sum

SCHEMA = Schema({
    "numbers": Field("atom", "int16"),
    "center": Field("edge", "int32", refers_to="atom"),
    "neighbor": Field("edge", "int32", refers_to="atom"),
})


class TinyNetwork(Network):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(119, 3)

    def forward(self, batch):
        center, neighbor = (EdgeIndex(batch[n], batch.n_atoms_total) for n in ("center", "neighbor"))
        atoms = self.embedding(batch["numbers"])
        degree = scatter_sum(torch.ones(len(center), 1), center)
        return [self.interaction(0, scatter_sum(gather(atoms, neighbor), center) / degree)]


class Tiny(Backbone):
    schema = SCHEMA
    info = BackboneInfo("tiny", 3, 1, "last", 5.0, "nobody", "MIT")

    def graph(self, structure):
        crystal = as_crystal(structure)
        pairs = find_neighbors(crystal, 5.0)
        return Graph(SCHEMA, {"numbers": crystal.numbers, "center": pairs.center, "neighbor": pairs.neighbor})

    def network(self):
        return TinyNetwork()

    def pretrained_state(self):
        return {"embedding.weight": torch.arange(119.0).repeat_interleave(3).reshape(119, 3)}
'''


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a package as pip would: a module and its dist-info in a folder of ``sys.path``."""
    installed = []

    def install(package: str, source: str, entry_points: str) -> None:
        folder = tmp_path / package
        info = folder / f"{package}-0.1.dist-info"
        info.mkdir(parents=True)
        (folder / f"{package}.py").write_text(textwrap.dedent(source), encoding="utf-8")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.1\n")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{entry_points}\n")
        monkeypatch.syspath_prepend(folder)
        installed.append(package)

    get_backbone.cache_clear()
    yield install
    get_backbone.cache_clear()
    for package in installed:
        sys.modules.pop(package, None)


def test_our_own_backbones_are_registered():
    assert {"chgnet", "cgcnn"} <= set(backbone_names())
    for name in ("chgnet", "cgcnn"):
        assert get_backbone(name).info.name == name


def test_a_backbone_is_made_once():
    assert get_backbone("cgcnn") is get_backbone("cgcnn")


def test_a_third_party_package_adds_a_backbone(install, crystals):
    install("tiny_backbone", TINY, "tiny = tiny_backbone:Tiny")
    assert "tiny" in backbone_names()
    assert "tiny_backbone" not in sys.modules, "listing names must not import"
    tiny = get_backbone("tiny")
    assert isinstance(tiny, Backbone)
    batch = tiny.graphs(crystals).batch(range(len(crystals)))
    embedding = crystal_embedding(tiny.pretrained(), batch, "last")
    assert embedding.shape == (len(crystals), 3)
    assert torch.allclose(embedding[0], torch.tensor(26.0))  # iron has iron neighbours
    assert np.isfinite(embedding.detach().numpy()).all()


def test_an_unknown_name_is_told_what_is_close():
    with pytest.raises(UnknownNameError, match=r"no backbone called 'chgnt': did you mean chgnet"):
        get_backbone("chgnt")


@pytest.mark.parametrize(
    ("source", "error", "reason"),
    [
        ("import a_package_that_nobody_has", MissingDependencyError, "a_package_that_nobody_has"),
        ("def Tiny(): raise ZeroDivisionError('oh')", MomaError, "ZeroDivisionError: oh"),
        ("this is no Python", MomaError, "SyntaxError"),
        ("something_else = 1", MomaError, "AttributeError"),
        ("Tiny = dict", IncompatibleError, "is a dict, not a moma_app Backbone"),
    ],
)
def test_a_broken_package_is_named_and_harms_no_other(install, source, error, reason):
    install("broken_backbone", source, "broken = broken_backbone:Tiny")
    assert "broken" in backbone_names()
    with pytest.raises(
        error, match=r"broken_backbone 0.1 \(entry point broken = broken_backbone:Tiny\)"
    ) as caught:
        get_backbone("broken")
    assert reason in str(caught.value)
    assert get_backbone("cgcnn").info.name == "cgcnn"


def test_an_error_that_a_package_words_itself_is_passed_on(install):
    source = """
    from moma_app.errors import DataNotFoundError
    def make(): raise DataNotFoundError("Download the weights first.")
    """
    install("needy_backbone", source, "needy = needy_backbone:make")
    with pytest.raises(MomaError, match=r"^Download the weights first\.$"):
        get_backbone("needy")


def test_a_name_claimed_twice_is_refused_and_both_packages_named(install):
    install("tiny_backbone", TINY, "tiny = tiny_backbone:Tiny")
    install("rival_backbone", TINY, "tiny = rival_backbone:Tiny")
    assert backbone_names().count("tiny") == 1
    with pytest.raises(IncompatibleError, match=r"rival_backbone 0\.1 and tiny_backbone 0\.1"):
        get_backbone("tiny")
