"""Pages stand alone, say what is true, and take no markup from anyone's data."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from moma_app.markup import Markup, element, escape
from moma_app.plots import comparison, figure_html, figures, write_report
from moma_app.plots.analysis_values import ErrorAnalysis

EVIL = "</script><script>alert('x')</script><img src=x onerror=alert(1)>\"'&<!--"


class Page(HTMLParser):
    """Collects what a browser would see: elements, their attributes, and text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words: list[str] = []
        self._raw = ""
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._raw = tag if tag in {"script", "style"} else ""
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        if tag == self._raw:
            self._raw = ""

    def handle_data(self, data):
        if self._raw == "script":
            self.scripts[-1] += data
        elif not self._raw:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    @property
    def tags(self) -> set[str]:
        return {tag for tag, _ in self.elements}


@pytest.fixture
def report(tmp_path):
    def write(**content) -> Page:
        path = tmp_path / "report.html"
        write_report(path, **{"title": "A report", **content})
        return Page(path)

    return write


@pytest.fixture(scope="module")
def usual(tmp_path_factory, result_of, fit_of):
    """The report of an ordinary composition and two fits."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    fits = [fit_of(), fit_of("bare backbone", "backbone", 0.09)]
    write_report(
        path,
        title="Bulk modulus",
        result=result_of(),
        fits=fits,
        notes=["A note."],
        facts={"torch": "2.9.1"},
    )
    return path


def test_report_says_what_was_found(usual, result):
    page = Page(usual)
    for expected in (
        "Bulk modulus",
        "A note.",
        "The test MAE on 11 structures is 0.0593 log10(GPa) (composed module)",
        "against 0.0824 log10(GPa) (bare backbone): 28.0 % lower",
        "within the noise",
        "mp_kvrh",
        "log10 shear modulus [log10(GPa)]",
        "−28.0 %",
        "baseline",
        "MAE/MAD",
        "40 (kept 29)",
        "48.2 s",
        "0 (random); 49 training structures",
        "5, 0.2",
        "CPU (2 cores)",
        "torch",
        "2.9.1",
        "7bbe2c1f0d5a",
        result.modules[0].sha256[:12],
        "(Eq. 2)",
        "(Eq. 3)",
        "learning_rate",
    ):
        assert expected in page.text, expected
    drawn = json.loads(page.scripts[0])
    assert set(drawn) == {"light", "dark"}
    assert set(drawn["light"]) == {"weights", "curves", "parity-0", "parity-1"}
    ids = {attributes.get("id") for _, attributes in page.elements}
    assert set(drawn["light"]) <= ids


def test_report_loads_nothing_from_anywhere(usual):
    page = Page(usual)
    for tag, attributes in page.elements:
        assert tag not in {"link", "iframe", "img", "object", "embed", "base"}
        assert not {"src", "href", "srcset", "action"} & set(attributes), (tag, attributes)
    policy = next(a["content"] for t, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
    assert policy.count("sha256-") == len(page.scripts) - 1 == 2
    styles = re.findall(r"<style>(.*?)</style>", usual.read_text(encoding="utf-8"), re.DOTALL)
    assert "url(" not in "".join(styles)
    assert "@import" not in "".join(styles)
    assert usual.stat().st_size < 3e6


def test_large_report_stays_small(report, result_of, fit_of, tmp_path):
    fits = [fit_of(n=12_000, std=True), fit_of("bare backbone", "backbone", 0.08, n=12_000, std=True)]
    report(result=result_of(400, 20, 200), fits=fits)
    assert (tmp_path / "report.html").stat().st_size < 6e6


def test_text_from_users_stays_text(report, usual, result, fit_of):
    clean = Page(usual)
    fit = fit_of(EVIL)
    fit = replace(
        fit,
        task=EVIL,
        property=EVIL,
        unit=EVIL,
        ids=[f"{EVIL}{i}" for i in range(11)],
        hardware=EVIL,
        config={EVIL: {EVIL: EVIL}},
    )
    scores = [
        replace(s, module=EVIL + s.module, property=EVIL, unit=EVIL, version=EVIL, sha256=EVIL)
        for s in result.modules
    ]
    bad = replace(
        result,
        task=EVIL,
        property=EVIL,
        unit=EVIL,
        modules=scores,
        status=EVIL,
        split_origin=EVIL,
        train_ids=[EVIL] * 49,
        backbone=EVIL,
        fingerprint=EVIL,
        kind=EVIL,
        layers=EVIL,
        skipped={EVIL: EVIL},
        made_with=EVIL,
    )
    page = report(
        title=EVIL,
        result=bad,
        fits=[fit, replace(fit, label=EVIL + "2", start="backbone")],
        notes=[EVIL],
        facts={EVIL: EVIL},
    )
    assert page.tags == clean.tags
    assert len(page.scripts) == len(clean.scripts)
    assert page.scripts[1:] == clean.scripts[1:]
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert "alert('x')" in page.text
    json.loads(page.scripts[0])


def test_report_without_fits(report, result_of):
    page = report(result=result_of(40, 3))
    assert "AMC gives weight to 3 of 40 modules from 49 training structures" in page.text
    assert "Test results" not in page.text
    assert set(json.loads(page.scripts[0])["light"]) == {"weights"}


def test_report_without_composition(report, fits):
    page = report(fits=fits)
    assert "Composition" not in page.text
    assert "28.0 % lower" in page.text


def test_report_with_one_fit(report, result, fit_of):
    page = report(result=result, fits=[fit_of("instant predictor", "instant", std=True, curve=False)])
    assert "The instant predictor has a test MAE of" in page.text
    assert "times that of predicting the mean" in page.text
    assert "In 90 % interval" in page.text
    assert "91.0 %" in page.text
    assert "Learning curves" not in page.text


def analysis(text=""):
    row = {"position": 0, "id": f"mp-1{text}", "formula": f"NaCl{text}", "n_atoms": 8, "error": -0.25}
    return ErrorAnalysis.from_dict(
        {
            "by_element": [
                {"element": "Na", "mae": 0.25, "n": 3},
                {"element": f"Xx{text}", "mae": 1, "n": 1},
            ],
            "rows": [row, {**row, "position": 1, "error": math.nan}],
            "worst": [{**row, "true": 2.0, "predicted": 1.75}],
        }
    )


def test_report_says_where_the_errors_are(report, fits):
    page = report(fits=fits, analysis=analysis())
    for expected in (
        "Where the errors are (composed module)",
        "By element",
        "NaCl",
        "mp-1",
        "−0.250",
        "1.75",
    ):
        assert expected in page.text
    drawn = json.loads(page.scripts[0])
    assert {"elements", "sizes"} <= set(drawn["light"])
    assert set(drawn["light"]) <= {attributes.get("id") for _, attributes in page.elements}


def test_report_of_an_empty_analysis_draws_nothing(report, fits):
    page = report(fits=fits, analysis=ErrorAnalysis([], [], []))
    assert not {"elements", "sizes"} & set(json.loads(page.scripts[0])["light"])
    assert "Largest errors" not in page.text


def test_formulas_and_ids_of_the_worst_structures_stay_text(report, fits):
    clean, page = report(fits=fits, analysis=analysis()), report(fits=fits, analysis=analysis(EVIL))
    assert page.tags == clean.tags
    assert page.scripts[1:] == clean.scripts[1:]
    assert "alert('x')" in page.text


def test_report_of_classes(report, classification_of):
    other = replace(classification_of("bare backbone"), start="backbone")
    page = report(fits=[classification_of()])
    assert "The composed module predicts 85.0 % of 60 test structures right." in page.text
    assert "Macro F1" in page.text
    assert "MAE" not in page.text
    page = report(fits=[classification_of(), other])
    assert "share of wrong classes" in page.text
    assert "no difference" in page.text


def test_report_of_nothing(report):
    page = report()
    assert "neither a composition nor a fit" in page.text
    assert json.loads(page.scripts[0]) == {"light": {}, "dark": {}}


def test_report_of_many_modules_folds_the_rest(report, result_of):
    page = report(result=result_of(400, 3))
    assert "390 more modules" in page.text
    assert "jarvis_property_399" in page.text


def test_modules_left_out_are_named(report, result):
    page = report(result=replace(result, skipped={"mp_bad": "its file is damaged"}))
    assert "mp_bad" in page.text
    assert "its file is damaged" in page.text


def test_a_failed_report_leaves_the_old_one(tmp_path, result, fits):
    path = tmp_path / "report.html"
    path.write_text("old")
    with pytest.raises(TypeError):
        write_report(path, title="x", result=result, fits=fits, notes=[object()])
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_figure_page(tmp_path, result):
    path = tmp_path / "weights.html"
    figure_html(path, figures.weight_bars(result), EVIL)
    page = Page(path)
    assert "alert('x')" in page.text
    assert set(json.loads(page.scripts[0])) == {"light"}
    assert "button" not in page.tags
    figure_html(path, figures.weight_bars(result), "x", dark=figures.weight_bars(result, mode="dark"))
    assert set(json.loads(Page(path).scripts[0])) == {"light", "dark"}


# ---------------------------------------------------------------------- wording


def said(fit, baseline):
    return comparison.sentences(comparison.compare(fit, baseline))


def shifted(fit, by, label="bare backbone"):
    """Return a fit whose error is larger by ``by`` in every row."""
    errors = [p - t for p, t in zip(fit.predicted, fit.targets, strict=True)]
    predicted = [t + math.copysign(abs(e) + by, e) for t, e in zip(fit.targets, errors, strict=True)]
    return replace(
        fit,
        label=label,
        start="backbone",
        predicted=predicted,
        metrics={**fit.metrics, "mae": fit.metrics["mae"] + by},
    )


def test_a_clear_difference_is_stated_either_way(fit_of):
    fit = fit_of()
    better, worse = said(fit, shifted(fit, 0.1)), said(shifted(fit, 0.1, "composed module"), fit)
    assert "62.8 % lower. " in better
    assert "% higher. " in worse
    for text in (better, worse):
        assert "one split and one seed" in text
        assert "noise" not in text
        assert "improve" not in text


def test_equal_errors_are_no_difference(fit_of):
    assert said(fit_of(), replace(fit_of(), label="bare backbone")).endswith("no difference.")


def test_paired_standard_error(fits):
    compared = comparison.compare(*fits)
    errors = [
        abs(p - t) - abs(q - t)
        for p, q, t in zip(fits[0].predicted, fits[1].predicted, fits[0].targets, strict=True)
    ]
    mean = sum(errors) / 11
    variance = sum((e - mean) ** 2 for e in errors) / 10
    assert compared.difference == pytest.approx(mean)
    assert compared.standard_error == pytest.approx(math.sqrt(variance / 11))
    assert compared.within_noise == (abs(mean) < 2 * math.sqrt(variance / 11))


def test_other_rows_are_not_paired(fits):
    other = replace(fits[1], ids=[f"other-{i}" for i in range(11)])
    assert comparison.compare(fits[0], other).standard_error is None
    assert "not on the same rows" in said(fits[0], other)


def test_numbers_that_cannot_be_compared(fits):
    broken = replace(fits[1], metrics={**fits[1].metrics, "mae": math.nan})
    assert said(fits[0], broken).endswith("cannot be compared.")
    perfect = replace(fits[1], predicted=fits[1].targets, metrics={**fits[1].metrics, "mae": 0.0})
    assert comparison.compare(fits[0], perfect).percent is None


def test_which_fits_are_compared(fit_of):
    composed, backbone = fit_of(), fit_of("bare backbone", "backbone")
    single, scratch = fit_of("module", "mp_kvrh"), fit_of("scratch", "scratch")
    assert comparison.pick([backbone, single, composed]) == (composed, backbone)
    assert comparison.pick([single, scratch]) == (single, scratch)
    assert comparison.pick([composed]) is None


def test_markup_escapes_all_but_markup():
    assert element("p", "<b>&\x00", Markup("<i>x</i>")) == "<p>&lt;b&gt;&amp;<i>x</i></p>"
    assert element("p", title='"><script>') == '<p title="&quot;&gt;&lt;script&gt;"></p>'
    assert escape("\ud800a") == "a"
