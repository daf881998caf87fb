"""Modules on disk: what is saved is read again, half a module is never seen, damage is found."""

from __future__ import annotations

import os
import pickle
import re
import signal
import subprocess
import sys
import textwrap

import pytest
import torch
from module_factory import make_card, make_module, real_module, small_state
from safetensors.torch import save_file

from moma_app.backbones.registry import get_backbone
from moma_app.errors import DamagedFileError, IncompatibleError, InputError
from moma_app.files import sha256_of_file
from moma_app.hub import Hub, Module


def visible(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def assert_same_tensors(module, state):
    assert module.names() == sorted(state)
    for name, tensor in module.iter_tensors():
        assert tensor.dtype == state[name].dtype
        assert torch.equal(tensor, state[name])


class TestSaving:
    @pytest.mark.parametrize("kind", ["full", "adapter"])
    def test_what_is_saved_is_read_again(self, tmp_path, kind):
        state = small_state(3, kind)
        state["head.count"] = torch.tensor([1, 2])
        state["head.half"] = torch.tensor([1.5], dtype=torch.float16)
        saved = make_module("mp_kvrh", state, kind=kind, note="Å").save(tmp_path)
        read = Hub(tmp_path)["mp_kvrh"]
        assert read.card == saved.card
        assert read.path == saved.path
        assert_same_tensors(read, state)
        read.verify()
        assert read.parameters().keys() == {name for name in state if not name.startswith("head.")}
        assert read.head().keys() == {"weight", "count", "half"}
        assert torch.equal(read.tensor("head.half"), state["head.half"])

    def test_the_card_tells_the_file(self, tmp_path):
        saved = make_module().save(tmp_path)
        assert saved.card.sha256 == sha256_of_file(saved.path)
        assert saved.card.size == saved.path.stat().st_size
        assert saved.card.file == saved.path.name == f"mp_kvrh-{saved.card.sha256[:12]}.safetensors"
        assert visible(tmp_path) == [saved.path.name, "mp_kvrh.json"]

    def test_the_same_tensors_make_the_same_file(self, tmp_path):
        first = make_module().save(tmp_path / "a")
        second = make_module(state=dict(reversed(small_state().items()))).save(tmp_path / "b")
        assert first.card.sha256 == second.card.sha256
        third = first.save(tmp_path / "c")
        assert third.card == first.card

    def test_strided_tensors_are_saved_as_they_look(self, tmp_path):
        state = {"backbone.a": torch.arange(12.0).reshape(3, 4).T, "backbone.b": torch.ones(1).expand(5)}
        assert_same_tensors(make_module(state=state).save(tmp_path), state)

    def test_a_new_version_replaces_the_old(self, tmp_path):
        make_module().save(tmp_path)
        new = make_module(state=small_state(1)).save(tmp_path)
        assert visible(tmp_path) == [new.path.name, "mp_kvrh.json"]
        assert_same_tensors(Hub(tmp_path)["mp_kvrh"], small_state(1))

    def test_a_name_that_begins_like_another_is_left_alone(self, tmp_path):
        other = make_module("mp-0123456789ab").save(tmp_path)
        make_module("mp").save(tmp_path)
        make_module("mp", small_state(1)).save(tmp_path)
        other.verify()
        Hub(tmp_path).remove("mp")
        other.verify()
        assert list(Hub(tmp_path)) == ["mp-0123456789ab"]

    def test_the_longest_name(self, tmp_path):
        name = "x" * 100
        make_module(name).save(tmp_path)
        Hub(tmp_path)[name].verify()

    def test_a_card_that_could_not_be_read_again_is_not_published(self, tmp_path):
        old = make_module().save(tmp_path)
        card = make_card(head={"config": {}, "mean": float("nan"), "std": 1.0})
        with pytest.raises(DamagedFileError, match=r"head\.mean"):
            Module(card, memory=small_state(1)).save(tmp_path)
        assert visible(tmp_path) == [old.path.name, "mp_kvrh.json"]

    def test_a_damaged_file_is_not_published_as_sound(self, tmp_path):
        module = make_module().save(tmp_path / "a")
        flip(module.path)
        with pytest.raises(DamagedFileError, match="SHA-256"):
            module.save(tmp_path / "b")
        assert not list(tmp_path.glob("b/*"))


def flip(path, place=-5):
    content = bytearray(path.read_bytes())
    content[place] ^= 0x10
    path.write_bytes(content)


STEPS = ("sha256_of_file", "publish", "atomic_write_text")


class TestStoppedInTheMiddle:
    """Whatever step fails, readers have the old module, and no file of the new one shows."""

    @pytest.mark.parametrize(
        "step", ["safetensors.torch.save_file", *(f"moma_app.hub.module.{name}" for name in STEPS)]
    )
    def test_an_exception(self, tmp_path, monkeypatch, step):
        old = make_module().save(tmp_path)

        def fail(*_args, **_kwargs):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(step, fail)
            with pytest.raises(KeyboardInterrupt):
                make_module(state=small_state(1)).save(tmp_path)
        assert not list(tmp_path.glob(".*.part"))
        hub = Hub(tmp_path)
        assert list(hub) == ["mp_kvrh"]
        assert hub.check()[1] == []
        assert hub["mp_kvrh"].card == old.card
        assert_same_tensors(hub["mp_kvrh"], small_state())
        new = make_module(state=small_state(1)).save(tmp_path)
        assert visible(tmp_path) == [new.path.name, "mp_kvrh.json"], "the next publication tidies up"

    @pytest.mark.parametrize("step", ["publish", "atomic_write_text"])
    def test_a_kill(self, tmp_path, step):
        make_module().save(tmp_path)
        code = f"""
        import os, signal
        from pathlib import Path
        from module_factory import make_module, small_state
        from moma_app.hub import module
        module.{step} = lambda *args, **kwargs: os.kill(os.getpid(), signal.SIGKILL)
        make_module(state=small_state(1)).save(Path({str(tmp_path)!r}))
        """
        assert run_python(code).wait(60) == -signal.SIGKILL
        hub = Hub(tmp_path)
        assert list(hub) == ["mp_kvrh"]
        assert hub.check()[1] == []
        assert_same_tensors(hub["mp_kvrh"], small_state())
        new = make_module(state=small_state(1)).save(tmp_path)
        assert visible(tmp_path) == [new.path.name, "mp_kvrh.json"], "the dead process holds no lock"


def run_python(code):
    """Start another Python that sees the test helpers."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], env=environment)


class TestDamage:
    @pytest.fixture
    def module(self, tmp_path):
        return make_module().save(tmp_path)

    @pytest.mark.parametrize("place", [0, 20, -1])
    def test_a_flipped_byte(self, module, place):
        flip(module.path, place)
        with pytest.raises(DamagedFileError, match=rf"'mp_kvrh'.*{re.escape(module.path.name)}.*SHA-256"):
            module.verify()

    def test_a_file_cut_short(self, module):
        content = module.path.read_bytes()
        module.path.write_bytes(content[:-7])
        with pytest.raises(
            DamagedFileError, match=rf"has {len(content) - 7:,} bytes where its card says {len(content):,}"
        ):
            module.verify()
        for read in (module.names, module.parameters, lambda: module.tensor("backbone.bias")):
            with pytest.raises(DamagedFileError, match="no safetensors file, or is cut short"):
                read()

    @pytest.mark.parametrize("content", [b"", b"x", b"\xff" * 100])
    def test_a_file_of_something_else(self, module, content):
        module.path.write_bytes(content)
        with pytest.raises(DamagedFileError, match="'mp_kvrh'"):
            module.verify()
        with pytest.raises(DamagedFileError, match="no safetensors file"):
            module.parameters()

    def test_a_file_that_is_gone(self, module):
        module.path.unlink()
        with pytest.raises(DamagedFileError, match=r"'mp_kvrh': its file .* is missing"):
            module.verify()
        with pytest.raises(DamagedFileError, match="is missing"):
            module.names()

    def test_a_pickle_is_refused_though_its_card_agrees_and_runs_no_code(self, tmp_path):
        class Evil:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "pwned"),)

        path = tmp_path / "evil.safetensors"
        path.write_bytes(pickle.dumps(Evil()))
        card = make_card("evil", file=path.name, sha256=sha256_of_file(path), size=path.stat().st_size)
        (tmp_path / "evil.json").write_text(card.model_dump_json())
        module = Hub(tmp_path)["evil"]
        for use in (
            module.verify,
            module.names,
            module.parameters,
            module.head,
            lambda: module.save(tmp_path / "elsewhere"),
            lambda: module.network(FAKE_BACKBONE),
        ):
            with pytest.raises(DamagedFileError, match="no safetensors file"):
                use()
        assert [damage.name for damage in Hub(tmp_path).check()[1]] == ["evil"]
        assert not (tmp_path / "pwned").exists()

    def test_a_torch_checkpoint_is_refused(self, tmp_path):
        path = tmp_path / "x.safetensors"
        torch.save(small_state(), path)
        card = make_card("x", file=path.name, sha256=sha256_of_file(path), size=path.stat().st_size)
        with pytest.raises(DamagedFileError, match="no safetensors file"):
            Module(card, path).verify()


class FakeBackbone:
    class info:  # noqa: N801 - stands for an attribute
        name = "chgnet"

    fingerprint = "0123456789abcdef"


FAKE_BACKBONE = FakeBackbone()


class TestNetwork:
    @pytest.mark.parametrize("kind", ["full", "adapter"])
    @pytest.mark.parametrize("backbone", ["chgnet", "cgcnn"])
    def test_the_parameters_are_in_place(self, tmp_path, backbone, kind):
        module = real_module("m", 1, kind, backbone).save(tmp_path)
        state = module.network(get_backbone(backbone)).state_dict()
        prefix = "backbone." if kind == "full" else ""
        for name, tensor in module.parameters().items():
            assert torch.equal(state[name.removeprefix(prefix)], tensor)
        pretrained = get_backbone(backbone).pretrained_state()
        assert kind == "full" or all(torch.equal(state[k], v) for k, v in pretrained.items())

    def test_half_precision_is_computed_in_float32(self):
        module = real_module("m", 1)
        half = Module(module.card, memory={k: v.half() for k, v in module.memory.items()})
        assert {t.dtype for t in half.network(get_backbone("cgcnn")).state_dict().values()} == {torch.float32}

    def test_other_pretrained_weights_are_refused(self):
        with pytest.raises(
            IncompatibleError, match=r"'m' was made for cgcnn \(f{16}\), but this is cgcnn \("
        ):
            real_module("m", 1, fingerprint="f" * 16).network(get_backbone("cgcnn"))

    def test_another_backbone_is_refused(self):
        with pytest.raises(IncompatibleError, match=r"'m' was made for cgcnn .* but this is chgnet"):
            real_module("m", 1).network(get_backbone("chgnet"))

    @pytest.mark.parametrize("kind", ["full", "adapter"])
    def test_tensors_that_do_not_fit_are_damage(self, kind):
        module = real_module("m", 1, kind)
        name, tensor = next(iter(module.memory.items()))
        prefix = module.prefix
        for change in ({name: None}, {f"{prefix}extra": torch.ones(1)}, {name: torch.ones(*tensor.shape, 2)}):
            state = {k: v for k, v in {**module.memory, **change}.items() if v is not None}
            with pytest.raises(DamagedFileError, match="'m' does not fit its backbone"):
                Module(module.card, memory=state).network(get_backbone("cgcnn"))


def test_a_module_in_memory_verifies_and_lists_its_tensors():
    module = make_module()
    module.verify()
    assert_same_tensors(module, small_state())
    assert list(module.head()) == ["weight"]


def test_not_overwriting(tmp_path):
    make_module().save(tmp_path)
    with pytest.raises(InputError, match="already has a module 'mp_kvrh'"):
        make_module(state=small_state(1)).save(tmp_path, overwrite=False)
    assert_same_tensors(Hub(tmp_path)["mp_kvrh"], small_state())


def test_metadata_of_another_writer_is_no_obstacle(tmp_path):
    path = tmp_path / "foreign.safetensors"
    save_file(small_state(), path, metadata={"author": "somebody"})
    card = make_card("foreign", file=path.name, sha256=sha256_of_file(path), size=path.stat().st_size)
    module = Module(card, path)
    module.verify()
    assert_same_tensors(module.save(tmp_path / "hub"), small_state())
