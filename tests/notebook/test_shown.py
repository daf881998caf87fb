"""What a notebook shows of our objects: well formed, everything escaped, one line as text."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import pytest
import shown_objects
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moma_app import display
from moma_app.plots.theme import COLORS
from moma_app.tasks import get_task, list_tasks

EVIL = "</style><script>alert('x')</script><img src=x onerror=alert(1)>\"'&<!--\n\x00"
VOID = {"br", "hr", "img", "input", "meta", "link"}
NAMES = (
    "Hub",
    "Module",
    "Card",
    "AMCResult",
    "many modules",
    "Task",
    "TaskData",
    "classes",
    "ImportReport",
    "FitReport",
    "Predictor",
    "Prediction",
    "failed run",
    "run",
    "running",
    "RunList",
)


class Fragment(HTMLParser):
    """Reads HTML strictly: every element is closed where it should be."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open, f"{tag} is closed, but was never opened"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def makers(tmp_path_factory):
    made = shown_objects.everything(tmp_path_factory.mktemp("hubs"))
    assert set(NAMES) == set(made)
    return made


@pytest.mark.parametrize("name", NAMES)
def test_is_well_formed_and_says_what_it_is(makers, name):
    shown = makers[name]()
    page = Fragment(shown._repr_html_())
    kind = "Run" if name in {"failed run", "run", "running"} else "Runs" if name == "RunList" else None
    assert (kind or type(shown).__name__) in page.text
    assert "script" not in page.tags
    assert not any(key.startswith("on") or key in {"src", "href"} for key, _ in page.attributes)


@pytest.mark.parametrize("name", NAMES)
def test_takes_no_markup_from_anybodys_words(makers, name):
    shown = makers[name](EVIL)
    page = Fragment(shown._repr_html_())
    assert not {"script", "img"} & set(page.tags)
    assert page.tags.count("style") == 1
    assert "alert(1)" in page.text, "the words themselves are shown"


@pytest.mark.parametrize("name", NAMES)
def test_is_one_short_line_as_text(makers, name):
    for words in ("short", "word " * 200, EVIL):
        text = repr(makers[name](words))
        assert len(text) < 200
        assert text.isprintable()
        assert "array(" not in text
        assert "tensor(" not in text


def test_tensors_stay_out_of_the_text(makers):
    module = makers["Module"]()
    assert repr(module).startswith("<Module mp_kvrh: ")
    assert str(module.card) == repr(module.card)


def test_result_tells_weights_settings_and_what_was_left_out():
    page = Fragment(shown_objects.composition()._repr_html_())
    for said in (
        "0.610",
        "K 5",
        "T 0.2",
        "solver optimal",
        "objective 0.401",
        "qm9",
        "proxy MAE [log10(GPa)]",
    ):
        assert said in page.text, said
    widths = [
        float(width)
        for key, style in page.attributes
        if key == "style"
        for width in re.findall(r"[\d.]+", style)
    ]
    assert max(widths) == 100
    assert min(widths) == 0


def test_modules_beyond_the_first_can_be_unfolded():
    page = Fragment(shown_objects.composition(modules=20)._repr_html_())
    assert "8 more modules" in page.text
    assert "module_14" in page.text


def test_hub_names_damaged_modules_and_why(makers):
    page = Fragment(makers["Hub"]()._repr_html_())
    assert "3 modules, 1 damaged" in page.text
    assert "broken" in page.text
    assert "cannot be read" in page.text


def test_hub_that_is_empty_or_gone_is_shown(tmp_path):
    from moma_app.hub import Hub

    assert "no modules yet" in Fragment(Hub(tmp_path / "nowhere")._repr_html_()).text


@pytest.mark.parametrize(
    ("state", "said"),
    [("failed", "resume"), ("interrupted", "resume"), ("finished", "result"), ("running", "cancel")],
)
def test_run_says_what_can_be_done_next(state, said):
    assert f'Jobs().{said}("3f9c1a2b' in Fragment(shown_objects.record("a run", state)._repr_html_()).text


def test_task_with_data_shows_split_sizes_and_a_histogram():
    page = Fragment(get_task("elemental_bulk_modulus")._repr_html_())
    assert "49 / 11 / 11 (random, seed 0)" in page.text
    assert page.tags.count("rect") > 5


def test_every_task_of_the_catalogue_is_shown_without_its_data():
    began = time.process_time()
    tasks = list_tasks()
    for task in tasks:
        page = Fragment(task._repr_html_())
        assert task.name in page.text
        assert task.path is not None or task.available or "not on this machine" in page.text
    assert time.process_time() - began < 0.2 * len(tasks)


def test_largest_task_is_shown_within_a_second(shared, monkeypatch):
    monkeypatch.setenv("MOMA_DATA", str(shared / "data"))
    get_task("elemental_bulk_modulus")._repr_html_()  # imports are not what is measured
    began = time.process_time()
    page = Fragment(get_task("mp_bandgap")._repr_html_())
    assert time.process_time() - began < 1
    assert "rect" in page.tags


def test_damaged_data_is_told_and_not_raised(tmp_path, monkeypatch):
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "mp_phonons.parquet").write_bytes(b"no parquet")
    monkeypatch.setenv("MOMA_DATA", str(tmp_path))
    assert "damaged or no Parquet file" in Fragment(get_task("mp_phonons")._repr_html_()).text


def test_colours_are_those_of_the_figures():
    for mode, colours in display.ACCENTS.items():
        assert colours == COLORS[mode].series[: len(colours)]


numbers = st.floats(allow_nan=True, allow_infinity=True, width=32)
whatever = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Long lists on a busy machine."""


@whatever
@given(st.lists(st.lists(numbers, max_size=20), min_size=1, max_size=2), st.integers(-3, 25))
def test_curves_are_drawn_of_any_numbers(lines, mark):
    html = display.curves(lines, names=("train", "validation"), label="errors", mark=mark)
    assert not html or "nan" not in html
    if html:
        Fragment(html)
        places = [
            float(x)
            for points in re.findall(r'points="([^"]*)"', html)
            for x in re.split("[ ,]", points)
            if x
        ]
        assert all(-1 <= place <= 241 for place in places)


@whatever
@given(st.lists(st.integers(0, 10**9), max_size=40))
def test_columns_stay_inside(counts):
    html = display.columns(counts, label="rows")
    assert bool(html) == any(counts)
    for tall in re.findall(r'<rect[^>]* height="([\d.]+)"', html):
        assert 1 <= float(tall) <= 56


@whatever
@given(st.lists(st.tuples(numbers, numbers), max_size=60), st.integers(1, 20))
def test_parity_draws_at_most_400_points(few, times):
    pairs = few * times
    html = display.parity([x for x, _ in pairs], [y for _, y in pairs], label="parity")
    assert html.count("<circle") <= 400
    if html:
        Fragment(html)


@whatever
@given(st.one_of(st.none(), numbers))
def test_bars_are_no_longer_than_whole(share):
    for width in re.findall(r"width:([\d.-]+)%", display.bar(share)):
        assert 0 <= float(width) <= 100
