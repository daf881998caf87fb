"""Manifests: what is written is read again, and what cannot be read says why in one sentence."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from module_factory import make_card, make_module
from pydantic import ValidationError

from moma_app.errors import DamagedFileError
from moma_app.hub import Hub
from moma_app.hub.card import Data, Metrics
from moma_app.hub.manifest import Entry, Manifest, Superseded, parse_manifest, read_manifest, write_manifest

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True)
texts = st.text(max_size=30)
floats = st.none() | st.floats(allow_nan=False)
records = st.builds(
    Superseded,
    name=names,
    version=texts,
    sha256=texts,
    when=texts,
    why=texts,
    property=texts,
    unit=texts,
    seed=st.none() | st.integers(0, 2**31),
    size=st.integers(0, 2**40),
    data=st.none()
    | st.builds(
        Data, source=texts, rows_train=st.just(1), rows_val=st.just(2), rows_test=st.just(3), hash=texts
    ),
    metrics=st.builds(Metrics, test_mae=floats, test_r2=floats),
)


@settings(deadline=None, max_examples=200)
@given(
    st.builds(
        Manifest,
        name=names,
        version=st.just("1.2.3-rc.1"),
        summary=texts,
        modules=st.dictionaries(names, st.builds(Entry, version=texts, sha256=texts), max_size=4),
        superseded=st.lists(records, max_size=3).map(tuple),
    )
)
def test_a_manifest_survives_toml(manifest):
    assert parse_manifest(manifest.to_toml(), "here") == manifest


def test_a_manifest_survives_a_file(tmp_path):
    card = make_card(note="Å", sha256="a" * 64, metrics=Metrics(test_mae=1e-7, test_r2=0.5))
    manifest = Manifest(
        name="mine",
        version="2.0.0",
        summary='A "hub", with Å and 中文',
        modules={"mp.kvrh": Entry.of(card)},
        superseded=(Superseded.of(card, superseded_by="1.1.0", when="2026-01-02T03:04:05Z", why="newer"),),
    )
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path) == manifest
    assert read_manifest(tmp_path / "nowhere") is None
    assert "may be edited" in (tmp_path / "hub.toml").read_text()


def test_a_manifest_of_few_words_is_enough(tmp_path):
    (tmp_path / "hub.toml").write_text('name = "mine"\nversion = "0.1.0"\n')
    make_module().save(tmp_path)
    hub = Hub(tmp_path)
    assert hub.version == "0.1.0"
    assert hub.manifest.name == "mine"
    assert list(hub) == ["mp_kvrh"]


@pytest.mark.parametrize("version", ["1.0", "one", "", "v1.0.0"])
def test_a_version_must_be_semantic(version):
    with pytest.raises(ValidationError, match="no semantic version"):
        Manifest(name="mine", version=version)
    with pytest.raises(
        DamagedFileError, match=r"^The manifest hub\.toml cannot be read: version: .*no semantic version"
    ):
        parse_manifest(f'name = "mine"\nversion = "{version}"', "hub.toml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "name: Field required"),
        ("name = ", "is no TOML"),
        ('version = "1.0.0"', "name: Field required"),
        ('name = "a/b"\nversion = "1.0.0"', "name: .*letters, digits"),
        ('name = "a"\nversion = "1.0.0"\nformat = 2', "format: "),
        ('name = "a"\nversion = "1.0.0"\ncolour = "red"', "colour: "),
        ('name = "a"\nversion = "1.0.0"\n[modules]\nx = 3', r"modules\.x: "),
        ('name = "a"\nversion = "1.0.0"\n[[superseded]]\nname = "x"', r"superseded\.0\.version: "),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, words):
    with pytest.raises(DamagedFileError, match=rf"^The manifest hub\.toml .*{words}") as caught:
        parse_manifest(text, "hub.toml")
    assert "\n" not in str(caught.value)


def test_a_damaged_manifest_hides_no_module(tmp_path):
    make_module().save(tmp_path)
    for content in (b"\xff\xfe", b"name = "):
        (tmp_path / "hub.toml").write_bytes(content)
        hub = Hub(tmp_path)
        assert list(hub) == ["mp_kvrh"]
        hub["mp_kvrh"].verify()
        with pytest.raises(DamagedFileError, match=r"hub\.toml"):
            _ = hub.version
        with pytest.raises(DamagedFileError, match=r"hub\.toml"):
            hub.add(make_module("other"))
        assert list(hub) == ["mp_kvrh"]


def test_a_hub_without_a_manifest_has_no_version(tmp_path):
    make_module().save(tmp_path)
    assert Hub(tmp_path).version is None
    assert Hub(tmp_path).manifest is None
    assert Hub(tmp_path / "nowhere").version is None


def test_the_first_folder_with_a_manifest_speaks_for_a_hub_of_several(tmp_path):
    for name in ("a", "b", "c"):
        make_module(f"of-{name}").save(tmp_path / name)
    for name in ("b", "c"):
        Hub(tmp_path / name).release("1.0.0" if name == "b" else "2.0.0")
    hub = Hub(*(tmp_path / name for name in "abc"))
    assert hub.version == "1.0.0"
    assert [manifest.name for manifest in hub.manifests().values()] == ["b", "c"]
