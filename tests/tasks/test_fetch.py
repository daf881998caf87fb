"""Fetching runs the real path on small files in matminer's format, from a folder or a local server."""

import gzip
import hashlib
import http.server
import json
import sys
import threading

import numpy as np
import pytest

from moma_app.errors import (
    DamagedFileError,
    DataNotFoundError,
    InputError,
    MissingDependencyError,
    UnknownNameError,
)
from moma_app.progress import Step, Warned
from moma_app.tasks.downloads import download
from moma_app.tasks.fetch import fetch
from moma_app.tasks.published import SPLITS_URL
from moma_app.tasks.task import get_task, split_file, task_file

from .conftest import rock_salt

NOWHERE = "http://127.0.0.1:9"  # the discard port: nothing listens there


def structure(i=0):
    return rock_salt(3 + i % 5, 17, a=5 + 0.01 * i).to_pymatgen().as_dict()


def write_dataset(folder, name, columns):
    """Write a dataset file as matminer stores them: a table split in columns, index and data."""
    folder.mkdir(parents=True, exist_ok=True)
    n = len(next(iter(columns.values())))
    rows = [[column[i] for column in columns.values()] for i in range(n)]
    text = json.dumps({"columns": list(columns), "index": list(range(n)), "data": rows})
    (folder / f"{name}.json.gz").write_bytes(gzip.compress(text.encode()))


def jarvis_2d(folder, with_gap=120, without=10):
    n = with_gap + without
    gaps = [None if i % 13 == 0 and i // 13 < without else i / 100 for i in range(n)]
    assert sum(gap is not None for gap in gaps) == with_gap
    columns = {
        "structure": [structure(i) for i in range(n)],
        "mpid": [f"mp-{i}" for i in range(n)],
        "gap tbmbj": gaps,
    }
    columns |= {f"epsilon_{axis} opt": [float(k + i) for i in range(n)] for k, axis in enumerate("xyz")}
    write_dataset(folder, "jarvis_dft_2d", columns)
    return gaps


def write_splits(folder, **tasks):
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(5):
        content = {}
        for name, n in tasks.items():
            order = np.random.default_rng(seed).permutation(n).tolist()
            content[name] = [order[: n // 2], order[n // 2 : n - 5], order[n - 5 :]]
        path = folder / f"task_partition_indices_seed{seed}_correctedExptEf.json"
        path.write_text(json.dumps(content))


@pytest.fixture
def sources(tmp_path):
    """A mirror of dataset files and a folder of split files, with the arguments that point to them."""
    write_splits(tmp_path / "splits", jarvis_2d_gap_tbmbj=120, unknown_task=30)
    return {
        "mirror": (tmp_path / "mirror").as_uri(),
        "splits_url": (tmp_path / "splits").as_uri(),
        "check_hash": False,
        "data_home": tmp_path / "matminer",
    }


def test_a_task_is_written_with_its_published_splits(home, tmp_path, sources):
    gaps = [gap for gap in jarvis_2d(tmp_path / "mirror") if gap is not None]
    events = []
    (report,) = fetch(["jarvis_2d_gap_tbmbj"], events.append, **sources)
    assert (report.status, report.rows, report.published_rows) == ("written", 120, 120)
    assert report.splits == "published"
    assert any("130 rows where matminer lists 636" in note for note in report.notes)
    assert [event for event in events if isinstance(event, Warned)]
    assert any(isinstance(event, Step) and event.what.startswith("downloading") for event in events)
    task = get_task("jarvis_2d_gap_tbmbj")
    data = task.load()
    assert data.targets.tolist() == gaps
    assert data.rows.tolist() == list(range(120))
    assert data.ids[0] == "mp-1"  # row 0 has no gap
    assert np.allclose(data.structures[0].cell, rock_salt(a=5.01).cell)
    assert task.split(4).origin == "published"
    assert json.dumps(report.to_dict())


def test_what_is_there_is_not_fetched_again(tmp_path, sources):
    jarvis_2d(tmp_path / "mirror")
    fetch(["jarvis_2d_gap_tbmbj"], **sources)
    offline = {**sources, "mirror": NOWHERE, "splits_url": NOWHERE, "data_home": tmp_path / "empty"}
    (report,) = fetch(["jarvis_2d_gap_tbmbj"], **offline)
    assert (report.status, report.rows, report.splits) == ("present", 120, "published")
    with pytest.raises(DataNotFoundError, match=NOWHERE):
        fetch(["jarvis_2d_gap_tbmbj"], force=True, **offline)


def test_rows_that_differ_are_told_and_get_no_published_split(home, tmp_path, sources):
    jarvis_2d(tmp_path / "mirror", with_gap=100, without=8)
    (report,) = fetch(["jarvis_2d_gap_tbmbj"], **sources)
    assert report.splits == "random"
    assert "100 rows where 120 are published" in report.notes
    assert get_task("jarvis_2d_gap_tbmbj").split(0).origin == "random"
    # even where a split file lies beside it, it belongs to other rows
    path = split_file(home / "data", "jarvis_2d_gap_tbmbj")
    path.parent.mkdir(exist_ok=True)
    path.write_text('[{"train": [1], "val": [2], "test": [3]}]')
    assert get_task("jarvis_2d_gap_tbmbj").split(0).origin == "random"


def test_several_columns_are_averaged_and_transformed(tmp_path, sources):
    jarvis_2d(tmp_path / "mirror")
    fetch(["jarvis_2d_dielectric_opt"], **sources)
    data = get_task("jarvis_2d_dielectric_opt").load()
    assert data.targets[:3].tolist() == [1.0, 2.0, 3.0]


def test_filters_transforms_and_ids(tmp_path, sources):
    column = next(iter(get_task("n_avg_eff_mass").spec.source.parts)).columns[0]
    masses = [0.5, -1.0, 100.0, 101.0, None, 2.0]
    write_dataset(
        tmp_path / "mirror", "ricci_boltztrap_mp_tabular",
        {"task": [f"mp-{i}" for i in range(6)], "structure": [structure(i) for i in range(6)], column: masses},
    )  # fmt: skip
    fetch(["n_avg_eff_mass"], **sources)
    data = get_task("n_avg_eff_mass").load()
    assert data.ids == ["mp-0", "mp-2", "mp-5"]
    assert np.allclose(data.targets, np.log1p([0.5, 100, 2]))


def test_values_already_transformed_stay_and_undefined_ones_are_told(tmp_path, sources):
    mirror, good = tmp_path / "mirror", [structure(i) for i in range(3)]
    write_dataset(mirror, "matbench_log_kvrh", {"structure": good, "log10(K_VRH)": [1.5, 2.0, -0.5]})
    write_dataset(
        mirror, "phonon_dielectric_mp", {"structure": good, "mpid": ["a", "b", "c"], "eps_total": [1, 0, 2]}
    )
    reports = fetch(["mp_kvrh", "mp_eps_total"], **sources)
    assert get_task("mp_kvrh").load().targets.tolist() == [1.5, 2.0, -0.5]
    assert get_task("mp_kvrh").load().ids[0] == "matbench_log_kvrh-000001"
    assert "1 rows were left out because ln(x) is not defined for them" in reports[1].notes


def test_structures_are_joined_and_duplicates_dropped(tmp_path, sources):
    mirror = tmp_path / "mirror"
    write_dataset(
        mirror, "expt_formation_enthalpy", {"mpid": ["mp-1", "mp-2", None], "e_form expt": [-1.0, -2.0, -3.0]}
    )
    write_dataset(
        mirror,
        "expt_formation_enthalpy_kingsbury",
        {"likely_mpid": ["mp-2", "mp-3", "mp-4"], "expt_form_e": [-5.0, -6.0, -7.0]},
    )
    write_dataset(
        mirror,
        "mp_all_20181018",
        {"mpid": ["mp-1", "mp-2", "mp-3"], "structure": [structure(i) for i in range(3)]},
    )
    (report,) = fetch(["expt_eform"], **sources)
    data = get_task("expt_eform").load()
    assert data.ids == ["mp-1", "mp-2", "mp-3"]
    assert data.targets.tolist() == [-1.0, -2.0, -6.0]
    assert "1 of 4 rows were left out because no structure is known for them" in report.notes
    assert report.splits == "random"


def test_space_groups_and_classes(tmp_path, sources):
    mirror = tmp_path / "mirror"
    triclinic = rock_salt()
    skewed = type(triclinic)(
        triclinic.numbers, triclinic.cell + np.diag([0.3, 0.7, 1.1]), np.array([[0, 0, 0], [0.4, 0.45, 0.52]])
    )
    shapes = [structure(), skewed.to_pymatgen().as_dict()]
    write_dataset(mirror, "matbench_mp_gap", {"structure": shapes, "gap pbe": [1.0, 2.0]})
    write_dataset(mirror, "matbench_mp_is_metal", {"structure": shapes, "is_metal": [True, False]})
    fetch(["mp_spacegroup", "mp_is_metal"], **sources)
    groups = get_task("mp_spacegroup").load()
    assert (groups.targets + 1).tolist() == [225, 1]
    assert groups.spec.n_classes == 230
    metals = get_task("mp_is_metal").load()
    assert metals.targets.tolist() == [1, 0]
    assert metals.summary()["target"]["classes"] == {"nonmetal": 1, "metal": 1}


def test_unusable_structures_are_left_out_and_told(tmp_path, sources):
    disordered = structure()
    disordered["sites"][0]["species"][0]["occu"] = 0.5
    columns = {
        "structure": [disordered, structure(), None],
        "mpid": ["a", "b", "c"],
        "exfoliation_en": [1.0, 2.0, 3.0],
    }
    write_dataset(tmp_path / "mirror", "jarvis_dft_2d", columns)
    (report,) = fetch(["jarvis_2d_exfoliation"], **sources)
    assert get_task("jarvis_2d_exfoliation").load().rows.tolist() == [1]
    assert any("disordered" in note for note in report.notes)
    columns["structure"] = [None] * 3
    write_dataset(tmp_path / "mirror", "jarvis_dft_2d", columns)
    with pytest.raises(InputError, match="not one row"):
        fetch(["jarvis_2d_exfoliation"], force=True, **{**sources, "data_home": tmp_path / "other"})


def test_a_wrong_checksum_is_refused(home, tmp_path, sources):
    jarvis_2d(tmp_path / "mirror")
    with pytest.raises(DamagedFileError, match="SHA-256"):
        fetch(["jarvis_2d_gap_tbmbj"], **{**sources, "check_hash": True})
    assert list((tmp_path / "matminer").glob("jarvis*")) == []
    jarvis_2d(tmp_path / "matminer")
    with pytest.raises(DamagedFileError, match="SHA-256"):
        fetch(["jarvis_2d_gap_tbmbj"], **{**sources, "check_hash": True})
    assert not task_file(home / "data", "jarvis_2d_gap_tbmbj").exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"\x1f\x8b\x08broken", gzip.compress(b"{"), gzip.compress(b'{"a": 1}')],
    ids=["empty", "cut off", "not JSON", "not a table"],
)
def test_broken_dataset_files_are_named(tmp_path, sources, content):
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "jarvis_dft_2d.json.gz").write_bytes(content)
    with pytest.raises(DamagedFileError, match="jarvis_dft_2d"):
        fetch(["jarvis_2d_gap_tbmbj"], **sources)


def test_a_missing_column_is_named(tmp_path, sources):
    write_dataset(tmp_path / "mirror", "jarvis_dft_2d", {"mpid": ["a"], "structure": [structure()]})
    with pytest.raises(DamagedFileError, match="column gap tbmbj"):
        fetch(["jarvis_2d_gap_tbmbj"], **sources)


def test_no_internet_is_one_sentence_with_the_address(sources):
    with pytest.raises(DataNotFoundError, match=rf"^{NOWHERE}/jarvis_dft_2d.json.gz cannot be reached"):
        fetch(["jarvis_2d_gap_tbmbj"], **{**sources, "mirror": NOWHERE})


def test_all_goes_on_after_a_failure(tmp_path, monkeypatch, sources):
    monkeypatch.setitem(sys.modules, "torch_geometric", None)
    jarvis_2d(tmp_path / "mirror")
    reports = {report.task: report for report in fetch(None, **sources)}
    assert reports["jarvis_2d_gap_tbmbj"].status == "written"
    assert reports["mp_eform"].status == "failed"
    assert "matbench_mp_e_form" in reports["mp_eform"].notes[0]
    assert "molecules" in reports["qm9_u0"].notes[0]
    assert reports["lips_energy"].status == "unavailable"
    assert reports["elemental_bulk_modulus"].status == "present"


def test_tasks_without_download_and_unknown_ones_are_refused(sources):
    with pytest.raises(DataNotFoundError, match="MOMA_DATA"):
        fetch(["oqmd_eform"], **sources)
    with pytest.raises(UnknownNameError):
        fetch(["mp_eform", "mp_nothing"], **sources)


def test_broken_split_files_are_named(tmp_path, sources):
    jarvis_2d(tmp_path / "mirror")
    (tmp_path / "splits" / "task_partition_indices_seed3_correctedExptEf.json").write_text("[1]")
    with pytest.raises(DamagedFileError, match="seed3"):
        fetch(["jarvis_2d_gap_tbmbj"], **sources)
    write_splits(tmp_path / "splits", jarvis_2d_gap_tbmbj=120)
    (report,) = fetch(["jarvis_2d_gap_tbmbj"], **sources)  # the data is there, the splits follow
    assert (report.status, report.splits) == ("present", "published")


def test_qm9_says_what_it_needs(monkeypatch, sources):
    monkeypatch.setitem(sys.modules, "torch_geometric", None)
    with pytest.raises(MissingDependencyError, match="molecules"):
        fetch(["qm9_mu"], **sources)


def test_qm9_through_torch_geometric(tmp_path, sources):
    pytest.importorskip("torch_geometric")
    import torch
    from torch_geometric.data import Data
    from torch_geometric.datasets import QM9

    root = tmp_path / "matminer" / "qm9"
    for name in ("raw/qm9_v3.pt", "raw/gdb9.sdf", "raw/gdb9.sdf.csv", "raw/uncharacterized.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    water = {"z": torch.tensor([8, 1, 1]), "pos": torch.tensor([[0.0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])}
    molecules = [Data(**water, y=torch.arange(19.0)[None] + i, name=f"gdb_{i + 1}") for i in range(3)]
    (root / "processed").mkdir()
    QM9.save(molecules, str(root / "processed" / "data_v3.pt"))
    (report, _) = fetch(["qm9_alpha", "qm9_cv"], **sources)
    assert "3 rows where 130,831 are published" in report.notes
    data = get_task("qm9_alpha").load()
    assert data.targets.tolist() == [1.0, 2.0, 3.0]
    assert data.ids == ["gdb_1", "gdb_2", "gdb_3"]
    crystal = data.structures[0]
    positions = crystal.frac_coords @ crystal.cell
    assert np.linalg.norm(positions[1] - positions[0]) == pytest.approx(0.96, abs=1e-4)
    assert get_task("qm9_cv").load().targets[0] == 11.0


class _Handler(http.server.BaseHTTPRequestHandler):
    """Serves one body; the first answer breaks off half way, later ones can start anywhere."""

    body = b"0123456789" * 100_000
    asked: list = []  # noqa: RUF012 - reset by the test

    def do_GET(self):
        wanted = self.headers.get("Range")
        type(self).asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(self.body) - start))
        self.end_headers()
        end = len(self.body) // 2 if len(self.asked) == 1 else None
        self.wfile.write(self.body[start:end])

    def log_message(self, *args):
        pass


def test_a_broken_download_is_continued(tmp_path):
    _Handler.asked = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url, target = f"http://127.0.0.1:{server.server_port}/file", tmp_path / "file"
        digest = hashlib.sha256(_Handler.body).hexdigest()
        with pytest.raises(DataNotFoundError, match="cannot be reached"):
            download(url, target, sha256=digest)
        assert not target.exists()
        download(url, target, sha256=digest)
    finally:
        server.shutdown()
        server.server_close()
    assert target.read_bytes() == _Handler.body
    assert _Handler.asked == [None, "bytes=500000-"]


def test_only_web_and_file_addresses_are_read(tmp_path):
    with pytest.raises(InputError, match="no http"):
        download("ftp://example.org/x", tmp_path / "x")


def test_the_published_splits_have_a_fixed_address():
    assert SPLITS_URL.startswith("https://raw.githubusercontent.com/rees-c/MoE/")
