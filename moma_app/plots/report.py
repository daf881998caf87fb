"""The report of a composition and its fits: one HTML file for colleagues, talks and archives."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from moma_app.markup import Markup, element, join
from moma_app.plots import comparison
from moma_app.plots.page import Figure, write_page
from moma_app.plots.payloads import fit_labels
from moma_app.plots.report_analysis import errors_section
from moma_app.plots.report_composition import composition_section
from moma_app.plots.report_fits import fits_section
from moma_app.plots.report_provenance import provenance_section
from moma_app.plots.text import count, with_unit, with_unit_after

if TYPE_CHECKING:
    from moma_app.amc.result import AMCResult
    from moma_app.plots.analysis_values import ErrorAnalysis
    from moma_app.training.outcome import FitReport


def write_report(
    path: str | os.PathLike[str],
    *,
    title: str,
    result: AMCResult | None = None,
    fits: Sequence[FitReport] = (),
    analysis: ErrorAnalysis | None = None,
    notes: Sequence[str] = (),
    facts: Mapping[str, str] | None = None,
) -> None:
    """Write a report as one HTML file that opens without a network, in light or dark.

    Args:
        path: of the file; it is replaced in one step.
        title: heading.
        result: the composition, if there is one.
        fits: fitted predictors; with two or more, the composed module is compared with the bare
            backbone (else the first with the last).
        analysis: where the errors are of the fit that the report is about (see :func:`comparison.pick`), or
            of the only one.
        notes: sentences that the reader should know.
        facts: more provenance, by name.
    """
    drawn: dict[str, Figure] = {}
    body = join(
        [
            element("h1", title),
            _subtitle(result, fits),
            _summary(result, fits),
            *(element("p", note, class_="note") for note in notes),
            composition_section(result, drawn) if result is not None else "",
            fits_section(fits, drawn) if fits else "",
            _errors(analysis, fits, drawn) if analysis is not None and fits else "",
            provenance_section(result, fits, facts or {}),
        ]
    )
    write_page(path, title, body, drawn)


def _subtitle(result: AMCResult | None, fits: Sequence[FitReport]) -> Markup:
    source = result if result is not None else fits[0] if fits else None
    if source is None:
        return element("p", "There is neither a composition nor a fit to report.", class_="subtitle")
    return element(
        "p",
        f"{source.task}: {with_unit(source.property, source.unit)}, split {source.split}",
        class_="subtitle",
    )


def _summary(result: AMCResult | None, fits: Sequence[FitReport]) -> Markup:
    pair = comparison.pick(fits)
    if pair is not None:
        text = comparison.sentences(comparison.compare(*pair))
    elif fits:
        text = comparison.single_sentence(fits[0])
    elif result is not None and result.modules:
        used = sum(score.weight > 0 for score in result.modules)
        best = result.best_single
        text = (
            f"AMC gives weight to {used:,} of {count(len(result.modules), 'module')} from "
            f"{count(len(result.train_ids), 'training structure')}; the lowest proxy error is "
            f"{with_unit_after(best.proxy_mae, result.unit)}, of {best.module}."
        )
    else:
        return Markup()
    return element("p", text, class_="summary")


def _errors(analysis: ErrorAnalysis, fits: Sequence[FitReport], drawn: dict[str, Figure]) -> Markup:
    pair = comparison.pick(fits)
    main = fits[0] if pair is None else pair[0]
    label = fit_labels(fits)[list(fits).index(main)]
    return errors_section(analysis, label, main.unit, drawn)
