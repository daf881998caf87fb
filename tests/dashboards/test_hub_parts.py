"""The Hub page without a browser: hubs of any size, searches, files that come and go, what modules contribute."""

from __future__ import annotations

import io
import json
import math
import subprocess
import sys
import textwrap
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from module_factory import independent_module, make_card, make_module, small_state

from dashboards.parts.compose_state import ComposeState
from dashboards.parts.hub_content import read_content
from dashboards.parts.hub_exchange import add_uploads, destination, exported, named
from dashboards.parts.hub_state import HubState
from dashboards.parts.hub_uses import uses_of
from dashboards.parts.instant_card import sentence
from dashboards.services import hub_choices
from dashboards.uploads import Upload
from moma_app.config import get_settings
from moma_app.errors import DamagedFileError, InputError
from moma_app.experiments.summary import Part, Summary
from moma_app.hub.card import Data, EpochRecord, Metrics, Target
from moma_app.hub.content import ORDERS, ROWS, Search, found, sheet
from moma_app.hub.hub import Hub
from moma_app.hub.places import BUILTIN
from moma_app.plots.card_words import about, card_item, damage_item, provenance
from moma_app.training.outcome import FitReport

SIZES = (1, 4, 40, 400)


def generate(folder: Path, size: int) -> Path:
    """Write the cards of a hub: a search reads no tensors."""
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(size):
        mae = 0.01 + (n * 37 % 101) / 100
        card = make_card(
            f"module_{n:03d}",
            target=Target(
                task=("mp_kvrh", "mp_bandgap")[n % 2], property=("bulk modulus", "band gap")[n % 2], unit="eV"
            ),
            kind=("full", "full", "adapter")[n % 3],
            backbone=("chgnet", "cgcnn")[n % 5 == 0],
            data=Data(source="x", rows_train=100 + n, rows_val=1, rows_test=1, hash="0" * 64),
            metrics=Metrics(test_mae=mae, test_mad=1.0) if n % 7 else Metrics(),
            created=f"2026-01-{1 + n % 28:02d}T00:00:00Z",
            file=f"module_{n:03d}-000000000000.safetensors",
        )
        (folder / f"{card.name}.json").write_text(card.model_dump_json())
    return folder


@pytest.fixture(scope="module")
def hubs(tmp_path_factory) -> dict[int, Path]:
    return {size: generate(tmp_path_factory.mktemp(f"hub{size}"), size) for size in SIZES}


class TestAnyNumberOfModules:
    @pytest.mark.parametrize("size", SIZES)
    def test_every_module_is_on_one_page(self, hubs, size):
        started = time.perf_counter()
        content = read_content(str(hubs[size]))
        assert time.perf_counter() - started < 3.0  # 0.1 s for 400 on an idle machine
        names = []
        sheets = sheet(content.entries, 1)[1]
        for number in range(1, sheets + 1):
            shown, _ = sheet(content.entries, number)
            assert 1 <= len(shown) <= ROWS
            names += [entry.card.name for entry in shown]
        assert names == [f"module_{n:03d}" for n in range(size)]
        assert sheet(content.entries, 10_000) == sheet(content.entries, sheets)

    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("order", ORDERS)
    def test_every_order_keeps_every_module(self, hubs, size, order):
        entries = read_content(str(hubs[size])).entries
        ordered = found(entries, Search(order=order))
        assert sorted(e.card.name for e in ordered) == [e.card.name for e in entries]
        if order == "error":
            errors = [e.card.metrics.mae_over_mad for e in ordered]
            known = [error for error in errors if error is not None]
            assert known == sorted(known)
            assert errors == known + [None] * (len(errors) - len(known))
        if order == "newest":
            assert [e.card.created for e in ordered] == sorted(
                (e.card.created for e in entries), reverse=True
            )

    def test_a_change_of_a_card_is_seen(self, tmp_path):
        folder = generate(tmp_path, 3)
        assert len(read_content(str(folder)).entries) == 3
        assert read_content(str(folder)) is read_content(str(folder))
        (folder / "module_001.json").unlink()
        (folder / "broken.json").write_text('{"x": "<b>"}')
        content = read_content(str(folder))
        assert [e.card.name for e in content.entries] == ["module_000", "module_002"]
        assert [d.name for d in content.damaged] == ["broken"]
        assert "cannot be read" in damage_item(content.damaged[0])["problem"]


class TestSearch:
    def test_filters_join(self, hubs):
        entries = read_content(str(hubs[40])).entries
        hits = found(
            entries, Search(text="BULK modulus", kind="adapter", backbone="chgnet", family="mechanical")
        )
        assert hits
        for entry in hits:
            card = entry.card
            assert (card.kind, card.backbone, card.target.property, entry.family) == (
                "adapter",
                "chgnet",
                "bulk modulus",
                "mechanical",
            )
        assert found(entries, Search(text="bulk gap")) == []

    @given(st.text(max_size=12))
    def test_any_text_finds_what_has_all_its_words(self, text):
        entries = read_content("builtin").entries
        for entry in found(entries, Search(text=text)):
            parts = about(entry.card) | provenance(entry.card)
            told = " ".join([entry.card.name, entry.family, *parts.values()]).casefold()
            assert all(word in told for word in text.casefold().split())

    def test_the_address_keeps_it(self):
        state = HubState("?hub=/a/b&text=gap+x&order=error&kind=adapter&sheet=2&module=m")
        assert state.search() == Search("gap x", "", "adapter", "", "error")
        assert HubState(state.query).query == state.query
        assert HubState("?order=odd&kind=x").search() == Search()


class TestHubs:
    def test_the_built_in_hub_stays_as_it_is(self):
        content = read_content("builtin")
        assert content.folder is None
        assert {entry.builtin for entry in content.entries} == {True}
        assert {entry.own for entry in content.entries} == {False}
        for where in ("", "builtin"):
            assert destination(where).folders[0] == get_settings().hub_folder != BUILTIN

    def test_my_hub_need_not_exist_yet(self, tmp_path, monkeypatch):
        monkeypatch.setenv("MOMA_HUB", str(tmp_path / "nowhere"))
        assert read_content(str(tmp_path / "nowhere")).entries == ()
        with pytest.raises(InputError, match="does not exist"):
            read_content(str(tmp_path / "elsewhere"))

    def test_own_modules_hide_and_can_go(self, tmp_path, monkeypatch):
        monkeypatch.setenv("MOMA_HUB", str(tmp_path))
        make_module("mp_kvrh").save(tmp_path)
        entry = read_content("").find("mp_kvrh")
        assert (entry.builtin, entry.own) == (False, True)
        assert read_content("").find("mp_gvrh").own is False

    def test_hubs_with_a_name_are_offered_everywhere(self, tmp_path, monkeypatch):
        monkeypatch.setenv("MOMA_HOME", str(tmp_path))
        assert list(hub_choices()) == ["Mine and built-in", "Built-in", "Mine"]
        folder = get_settings().hubs_folder / "others"
        make_module("mp_kvrh").save(folder)
        assert hub_choices()["others"] == str(folder)
        assert [entry.card.name for entry in read_content(hub_choices()["others"]).entries] == ["mp_kvrh"]


class TestOthers:
    """Modules of somebody else that do not share an initialisation."""

    @pytest.fixture
    def hub(self, tmp_path):
        for seed, name in enumerate("ab"):
            metrics, rows = (
                Metrics(val_error=0.25),
                Data(source="theirs", rows_train=None, rows_val=None, rows_test=None, hash=""),
            )
            independent_module(name, seed, metrics=metrics, data=rows).save(tmp_path)
        return str(tmp_path)

    def test_what_their_cards_show(self, hub):
        entry = read_content(hub).find("a")
        facts = dict(card_item(entry, "")["facts"])
        assert facts["Test MAE"] == "0.250 log10(GPa) (validation)"
        assert facts["Training data"] == "– rows"
        assert about(entry.card)["Backbone"] == (
            "cgcnn from an initialisation of its own, layers last-softplus"
        )
        assert about(entry.card)["Test error"] == "0.250 log10(GPa) (validation)"
        assert [e.card.name for e in found(read_content(hub).entries, Search(order="rows"))] == ["a", "b"]

    def test_a_mixture_is_called_one(self):
        fit = FitReport(
            label="instant, mixture of 3 modules", start="instant:mixture", task="t", property="p", unit="eV", split=0,
            shots=None, seed=0, metrics={"mae": 0.5}, ids=["a"], targets=[1.0], predicted=[1.5],
        )  # fmt: skip
        text = sentence(fit)
        assert text.startswith("From a mixture of 3 modules, which share no initialisation")
        assert "Test MAE 0.5 eV on 1 structures" in text
        assert "mixture" not in sentence(replace(fit, start="instant:composed"))

    def test_the_page_compose_mixes_what_cannot_be_merged(self, hub):
        state = ComposeState(f"?task=elemental_bulk_modulus&hub={hub}")
        assert state.spec().arguments["mix"] is True
        state.off = ["a"]
        assert "mix" not in state.spec().arguments, "one module alone is its own average"
        assert "mix" not in ComposeState("?task=elemental_bulk_modulus&hub=builtin").spec().arguments


class TestCards:
    def test_what_a_card_shows(self, hubs):
        (entry,) = read_content(str(hubs[1])).entries
        assert card_item(entry, "/hub?module=x")["facts"][:2] == [("Test MAE", "–"), ("MAE/MAD", "–")]
        good = read_content("builtin").find("mp_gvrh")
        item = card_item(good, "")
        assert item["badges"] == ["full", "chgnet", "mechanical", "built-in"]
        assert item["facts"][0] == ("Test MAE", "0.0955 log10(GPa)")
        assert len(item["spark"]) == len(good.card.curve)

    def test_a_curve_with_what_cannot_be_drawn(self):
        errors = [math.nan, 0.0, 1.0]
        curve = [
            EpochRecord(epoch=n, train_error=1, val_error=e, learning_rate=1) for n, e in enumerate(errors)
        ]
        entry = read_content("builtin").entries[0]
        card = entry.card.model_copy(update={"curve": tuple(curve), "hardware": None, "recipe": {}})
        changed = type(entry)(card, "other", builtin=False, own=True)
        assert card_item(changed, "")["spark"] == [0.0, 1.0]
        assert provenance(card)["Hardware"] == ""


def upload(path: Path, name: str) -> Upload:
    return Upload(name, path)


class TestComingAndGoing:
    @pytest.fixture
    def files(self, tmp_path) -> list[Upload]:
        """Two modules' files as a page receives them: under names of our own, in any order."""
        uploads = []
        for n, name in enumerate(("mp_a", "mp_b")):
            stored = make_module(name, small_state(n)).save(tmp_path / "source")
            uploads.append(upload(stored.path, f"{name}<b>.safetensors"))
            uploads.append(upload(tmp_path / "source" / f"{name}.json", "renamed.json"))
        return uploads[::-1]

    def test_files_become_modules(self, tmp_path, files):
        hub = Hub(tmp_path / "hub")
        assert sorted(add_uploads(hub, files, overwrite=False)) == ["mp_a", "mp_b"]
        assert len(hub.check()[0]) == 2
        with pytest.raises(InputError, match="already has a module"):
            add_uploads(hub, files, overwrite=False)
        assert sorted(add_uploads(hub, files, overwrite=True)) == ["mp_a", "mp_b"]

    def test_an_export_comes_back_as_it_went(self, tmp_path, files):
        source = Hub(tmp_path / "source")
        (tmp_path / "x.zip").write_bytes(exported(source, "mp_a"))
        hub = Hub(tmp_path / "hub")
        assert add_uploads(hub, [upload(tmp_path / "x.zip", "mp_a.zip")], overwrite=False) == ["mp_a"]
        assert hub["mp_a"].card == source["mp_a"].card

    def test_one_bad_module_adds_none(self, tmp_path, files):
        bad = tmp_path / "bad.json"
        card = json.loads(files[0].path.read_text())
        bad.write_text(json.dumps({**card, "name": "zz", "sha256": "0" * 64}))
        hub = Hub(tmp_path / "hub")
        with pytest.raises(InputError, match=r"The tensors of module 'zz' are missing.*SHA-256"):
            add_uploads(hub, [*files, upload(bad, "zz.json")], overwrite=False)
        assert len(hub) == 0

    @pytest.mark.parametrize(
        ("suffix", "content", "error", "words"),
        [
            (".json", b"{", DamagedFileError, "The card what.json cannot be read"),
            (".json", b"\xff", DamagedFileError, "what.json cannot be read"),
            (".safetensors", b"x", InputError, r"None of these files is a module's card"),
            (".txt", b"x", InputError, r"what.txt is no file of a module"),
            (".zip", b"x", InputError, "what.zip is damaged or no zip file"),
        ],
    )
    def test_bad_files_get_a_sentence(self, tmp_path, suffix, content, error, words):
        (tmp_path / f"0{suffix}").write_bytes(content)
        with pytest.raises(error, match=words):
            add_uploads(
                Hub(tmp_path / "hub"), [upload(tmp_path / f"0{suffix}", f"what{suffix}")], overwrite=False
            )

    def test_a_zip_file_cannot_write_elsewhere(self, tmp_path, files):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.write(files[0].path, "../../evil.json")
        (tmp_path / "evil.zip").write_bytes(buffer.getvalue())
        with pytest.raises(InputError, match="leads out of it"):
            add_uploads(Hub(tmp_path / "hub"), [upload(tmp_path / "evil.zip", "evil.zip")], overwrite=False)
        assert not (tmp_path.parent / "evil.json").exists()

    def test_a_damaged_module_is_not_exported(self, tmp_path, files):
        hub = Hub(tmp_path / "source")
        path = hub["mp_a"].path
        path.write_bytes(path.read_bytes()[:-1] + b"\x01")
        with pytest.raises(DamagedFileError, match="mp_a"):
            exported(hub, "mp_a")

    def test_names_are_written_in_any_way(self):
        assert named(" a, b c,") == ["a", "b", "c"]
        assert named(" ") is None


def summary(run: str, task: str, split: int, weights: dict[str, float], **changes) -> Summary:
    parts = tuple(
        Part(name, name, weight, 0.5 - weight / 10, 0.5, name * 8) for name, weight in weights.items()
    )
    values = {
        "run": run, "task": task, "unit": "eV", "split": split, "shots": None, "k": 5, "temperature": 0.2, "kind": "full",
        "weighting": "amc", "backbone": "chgnet", "objective": 1.0, "parts": parts, "skipped": (), "files": {},
    }  # fmt: skip
    return Summary(**{**values, **changes})


class TestUses:
    card = make_card("a", sha256="a" * 8)

    def test_the_newest_of_each_split_counts(self):
        uses = uses_of(
            self.card,
            [
                summary("new", "t", 0, {"a": 0.6, "b": 0.4}),
                summary("old", "t", 0, {"a": 0.1, "b": 0.9}),
                summary("other", "t", 1, {"a": 0.2, "b": 0.8, "c": 0.0}),
                summary("least", "u", 0, {"a": 0.0, "b": 1.0}),
            ],
        )
        assert [(use.task, use.weights, use.ranks, use.run) for use in uses] == [
            ("t", (0.6, 0.2), (1, 2), "new"),
            ("u", (0.0,), (2,), "least"),
        ]
        assert uses[0].proxy_mae == pytest.approx((0.44 + 0.48) / 2)

    def test_other_rules_other_modules_and_few_shots_are_kept_apart(self):
        few = summary("few", "t", 0, {"a": 1.0}, shots=10)
        equal = summary("equal", "t", 0, {"a": 1.0}, weighting="all-average")
        replaced = summary("replaced", "t", 0, {"b": 1.0})
        assert [use.task for use in uses_of(self.card, [few, equal, replaced])] == ["t, N = 10"]

    def test_bars(self):
        pytest.importorskip("holoviews")
        from moma_app.plots.contributions import TaskWeight, contribution_bars

        weights = [TaskWeight(f"task {n} <b>", n / 40, 0.01, 2) for n in range(40)]
        drawn = contribution_bars(weights, mode="dark")
        assert len(drawn.get(0)) == 30
        assert "10 more tasks" in drawn.opts.get("plot", backend="bokeh").kwargs["xlabel"]
        with pytest.raises(InputError, match="no composition"):
            contribution_bars([])


def test_opening_the_pages_loads_no_pytorch(tmp_path):
    """All pages are built and their background work is done, in a process of their own."""
    code = textwrap.dedent(
        """
        import sys, time
        from bokeh.document import Document
        from panel.io.state import set_curdoc
        from dashboards import session
        from dashboards.pages import BY_SLUG
        from dashboards.shell import build_page, prepare

        for slug in ("runs", "hub"):
            with set_curdoc(Document()):
                prepare()
                build_page(BY_SLUG[slug], lambda page, query: f"/{page}{query}")
        session._POOL.shutdown(wait=True)
        heavy = {"torch", "lightning", "pymatgen", "matminer", "sklearn"} & set(sys.modules)
        assert not heavy, heavy
        """
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
