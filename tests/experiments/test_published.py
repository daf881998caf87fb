"""The published weights: read, fetched from the authors' form, compared with ours."""

from __future__ import annotations

import csv
import hashlib
import io
import json

import numpy as np
import pytest

from moma_app.errors import DamagedFileError, DataNotFoundError
from moma_app.experiments import fetch_published as fetching
from moma_app.experiments.agreement import agreement
from moma_app.experiments.matrix import InsightMatrix
from moma_app.experiments.published import (
    COLUMNS,
    MODULES,
    NAME,
    PublishedWeights,
    parse,
    published_file,
    published_weights,
)
from moma_app.experiments.summary import Part, Summary
from moma_app.tasks.catalogue import catalogue

TABLE = "split,task,module,weight\n0,mp_phonons,mp_kvrh,0.75\n0,mp_phonons,mp_eform,0.25\n1,mp_phonons,mp_eform,1\n"


@pytest.fixture
def authors(tmp_path):
    """A folder as the authors have it: numbers of modules, and their weights, for each split."""

    def write(tables: dict[int, dict[str, dict[str, float]]]) -> str:
        for split in range(5):
            tasks = tables.get(split, {})
            ids = {t: ",".join(str(MODULES.index(m)) for m in w) for t, w in tasks.items()}
            for folder, content in (
                ("module_ids", ids),
                ("module_weights", {t: list(w.values()) for t, w in tasks.items()}),
            ):
                (tmp_path / folder).mkdir(exist_ok=True)
                (tmp_path / folder / f"split_{split}.json").write_text(json.dumps(content, indent=4))
        return tmp_path.as_uri()

    return write


def test_modules_and_tasks_have_our_names():
    known = catalogue()
    assert all(known[name].role == "upstream" for name in MODULES)
    assert len(set(MODULES)) == 18


def test_the_authors_files_become_one_table(home, authors):
    url = authors(
        {0: {"mp_phonons": {"mp_eform": 0.25, "mp_kvrh": 0.75}}, 3: {"expt_eform": {"jarvis_eform": 1.0}}}
    )
    path = fetching.fetch_published(url=url)
    assert path == published_file()
    assert path.read_text() == (
        "split,task,module,weight\n0,mp_phonons,mp_eform,0.25\n0,mp_phonons,mp_kvrh,0.75\n3,expt_eform,jarvis_eform,1\n"
    )
    found = published_weights()
    assert (found.splits, found.tasks) == ((0, 3), ("mp_phonons", "expt_eform"))
    assert found.of("mp_phonons", "mp_gvrh", [0, 1]) == [0.0]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("module_ids", '{"mp_phonons": "0,99"}'),
        ("module_ids", '{"mp_phonons": "0"}'),
        ("module_ids", '{"other": "0,16"}'),
        ("module_ids", "[]"),
        ("module_ids", "{"),
        ("module_weights", '{"mp_phonons": [0.25, 0.9]}'),
        ("module_weights", '{"mp_phonons": [0.25, -0.75]}'),
        ("module_weights", '{"mp_phonons": "many"}'),
    ],
)
def test_files_in_another_form_are_refused_and_nothing_is_written(home, authors, tmp_path, file, content):
    url = authors({0: {"mp_phonons": {"mp_eform": 0.25, "mp_kvrh": 0.75}}})
    (tmp_path / file / "split_0.json").write_text(content)
    with pytest.raises(DamagedFileError):
        fetching.fetch_published(url=url)
    assert published_file() is None


def test_offline_is_one_sentence_and_what_is_there_stays(home, authors, monkeypatch):
    with pytest.raises(DataNotFoundError, match=r"cannot be reached .*check the connection"):
        fetching.fetch_published(url="http://127.0.0.1:9/json")
    assert published_file() is None
    path = fetching.fetch_published(url=authors({0: {"mp_phonons": {"mp_eform": 1.0}}}))
    assert fetching.fetch_published(url="http://127.0.0.1:9/json") == path, "it is there already"
    with pytest.raises(DataNotFoundError):
        fetching.fetch_published(url="http://127.0.0.1:9/json", force=True)
    assert path.is_file()


def test_other_content_at_the_authors_address_is_noticed(home, authors, monkeypatch):
    monkeypatch.setattr(fetching, "URL", authors({0: {"mp_phonons": {"mp_eform": 1.0}}}))
    with pytest.raises(DamagedFileError, match="not what the authors published"):
        fetching.fetch_published(url=fetching.URL)


def test_the_real_table_is_what_the_fetch_gives(home, authors, shared):
    """The authors' files as they follow from the table; their weights have more digits than it keeps."""
    text = (shared / "reference" / "published" / NAME).read_text()
    tables: dict[int, dict[str, dict[str, float]]] = {}
    for row in csv.DictReader(io.StringIO(text)):
        of_task = tables.setdefault(int(row["split"]), {}).setdefault(row["task"], {})
        of_task[row["module"]] = float(row["weight"]) * (1 + 1e-12)
    path = fetching.fetch_published(url=authors(tables))
    assert hashlib.sha256(path.read_bytes()).hexdigest() == fetching.SHA256
    found = published_weights()
    assert (len(found.tasks), found.splits) == (17, (0, 1, 2, 3, 4))
    assert set(found.tasks) <= catalogue().keys()


def test_the_search_path(tmp_path, home, monkeypatch):
    with pytest.raises(DataNotFoundError, match="moma insights fetch-published"):
        published_weights()
    beside = tmp_path / "reference" / "published" / NAME
    beside.parent.mkdir(parents=True)
    beside.write_text(TABLE)
    assert published_file() == beside
    inside = tmp_path / "data" / "published" / NAME
    inside.parent.mkdir(parents=True)
    inside.write_text(TABLE)
    assert published_file() == inside


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "columns split, task, module, weight"),
        ("a,b\n1,2\n", "columns"),
        (TABLE + "0,mp_phonons,mp_kvhr,0.1\n", "line 5"),
        (TABLE + "0,mp_phonons,mp_kvrh,0.1\n", "line 5: mp_kvrh has a weight"),
        (TABLE + "0,mp_phonons,mp_gvrh,nan\n", "line 5"),
        (TABLE + "x,mp_phonons,mp_gvrh,0.1\n", "line 5"),
        (TABLE + "0,mp_phonons\n", "line 5"),
        (TABLE + "1,mp_phonons,mp_gvrh,0.5\n", "do not add up to 1"),
    ],
)
def test_a_damaged_table_names_its_line(tmp_path, text, sentence):
    with pytest.raises(DamagedFileError, match=sentence):
        parse(text, tmp_path / NAME)


def test_means_over_the_splits_that_were_published(tmp_path):
    found = parse(TABLE, tmp_path / NAME)
    assert found.means(["mp_phonons", "expt_eform"], ["mp_kvrh", "mp_spacegroup"], [0, 1, 2]) == [
        [0.375, None],
        [None, None],
    ]
    assert found.stds(["mp_phonons"], ["mp_kvrh"], [0, 1])[0][0] == pytest.approx(np.std([0.75, 0], ddof=1))
    assert ",".join(COLUMNS) == TABLE.splitlines()[0]


def matrix_of(weights: dict[str, dict[str, float]], trained_on: dict[str, str]) -> InsightMatrix:
    """A map of one split."""
    summaries = {
        (task, 0): Summary(
            "run", task, "", 0, None, 5, 0.2, "full", "amc", "chgnet", 0.1,
            tuple(Part(m, trained_on[m], w, 1.0, 1.0, "") for m, w in of_task.items()), (), {},
        )
        for task, of_task in weights.items()
    }  # fmt: skip
    return InsightMatrix(tuple(weights), tuple(trained_on), (0,), trained_on, {}, summaries)


def test_agreement_over_what_both_have(tmp_path):
    theirs = PublishedWeights(
        {
            (0, "a"): {"mp_kvrh": 0.2, "mp_gvrh": 0.3, "mp_eform": 0.1, "jarvis_eform": 0.4},
            (0, "b"): {"mp_kvrh": 0.6, "mp_eform": 0.4},
            (0, "c"): {"jarvis_eform": 1.0},
        },
        tmp_path,
    )
    trained_on = {"k": "mp_kvrh", "g1": "mp_gvrh", "g2": "mp_gvrh", "e": "mp_eform", "own": "my_task"}
    ours = matrix_of(
        {
            "a": {"k": 0.3, "g1": 0.2, "g2": 0.2, "e": 0.1, "own": 0.2},
            "b": {"k": 0.0, "g1": 0.1, "g2": 0.0, "e": 0.9, "own": 0.0},
            "c": {"k": 1.0, "g1": 0.0, "g2": 0.0, "e": 0.0, "own": 0.0},
            "d": {"k": 1.0, "g1": 0.0, "g2": 0.0, "e": 0.0, "own": 0.0},
        },
        trained_on,
    )
    found = agreement(ours, theirs)
    assert found.modules == ("mp_eform", "mp_gvrh", "mp_kvrh")
    assert [each.task for each in found.tasks] == ["a", "b"], "c shares no weight, d was not published"
    first, second = found.tasks
    assert first.ours == pytest.approx({"mp_eform": 0.125, "mp_gvrh": 0.5, "mp_kvrh": 0.375})
    assert first.published == pytest.approx({"mp_eform": 1 / 6, "mp_gvrh": 0.5, "mp_kvrh": 1 / 3})
    assert first.ranks.spearman == pytest.approx(1.0)
    assert (first.best_of_ours, second.best_of_published) == ("mp_gvrh", "mp_kvrh")
    assert second.ranks.kendall == pytest.approx(-1 / 3)
    assert found.overall.n == 6
    assert found.within.n == 2
    assert json.dumps(found.to_dict())


def test_nothing_in_common_is_no_correlation(tmp_path):
    ours = matrix_of({"a": {"own": 1.0}}, {"own": "my_task"})
    found = agreement(ours, PublishedWeights({(0, "a"): {"mp_kvrh": 1.0}}, tmp_path))
    assert (found.tasks, found.modules, found.overall, found.within) == ((), (), None, None)
