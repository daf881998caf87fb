"""HTML files that stand alone: the Bokeh library and the data are inside, nothing is fetched.

A content security policy, in the file itself, allows the three scripts of ours by their hashes
and nothing else, and no connection to anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from moma_app.files import atomic_write_text
from moma_app.markup import Child, Markup, element, join
from moma_app.plots.theme import FONT, MODES, Mode, css_variables

if TYPE_CHECKING:
    from bokeh.models import UIElement


class Figure(NamedTuple):
    """A figure in both modes; without ``dark`` the page stays light."""

    light: Any
    dark: Any | None = None


def figure_html(path: str | os.PathLike[str], figure: Any, title: str, *, dark: Any | None = None) -> None:
    """Write one figure as an HTML file that opens without a network.

    Args:
        path: of the file; it is replaced in one step.
        figure: a HoloViews object, as the functions of :mod:`moma_app.plots.figures` give.
        title: heading of the page.
        dark: the same figure in dark colours, for readers whose system is dark.
    """
    body = join([element("h1", title), element("div", id="figure", class_="figure")])
    write_page(path, title, body, {"figure": Figure(figure, dark)})


def write_page(path: str | os.PathLike[str], title: str, body: Markup, figures: Mapping[str, Figure]) -> None:
    """Write a page that draws each figure into the element whose id is its key."""
    both = all(figure.dark is not None for figure in figures.values())
    modes: tuple[Mode, ...] = MODES if both else ("light",)
    items = {
        mode: {
            key: _embedded(figure.dark if mode == "dark" else figure.light, key)
            for key, figure in figures.items()
        }
        for mode in modes
    }
    scripts = [bokeh_library(), _DRAW] if figures else [_DRAW]
    atomic_write_text(Path(path), _document(title, body, scripts, items, modes))


def _document(
    title: str, body: Markup, scripts: list[str], items: Mapping[Mode, Any], modes: tuple[Mode, ...]
) -> str:
    # "<" is written as an escape, so that no text can end the block; it is data, never run.
    data = json.dumps(items, separators=(",", ":")).replace("<", "\\u003c")
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'"
    )
    switch: Child = ""
    if len(modes) > 1:
        switch = element("button", "Dark", id="mode", type="button", hidden="hidden")
    return "<!DOCTYPE html>\n" + element(
        "html",
        element(
            "head",
            element("meta", charset="utf-8"),
            Markup(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="generator", content="moma-app"),
            element("title", title),
            element("style", Markup(_style(modes))),
        ),
        element(
            "body",
            switch,
            element("main", body),
            element("noscript", "The figures of this page are drawn by a script inside it."),
            element("script", Markup(data), type="application/json", id="figures"),
            *(element("script", Markup(script)) for script in scripts),
        ),
        lang="en",
    )


def _embedded(figure: Any, key: str) -> Any:
    from bokeh.embed import json_item

    return json_item(bokeh_model(figure), key)


def bokeh_model(figure: Any) -> UIElement:
    """Render a HoloViews object to its Bokeh model; a Bokeh model stays as it is."""
    from bokeh.model import Model

    if isinstance(figure, Model):
        return figure
    import holoviews as hv
    import holoviews.plotting.bokeh

    return hv.render(figure, backend="bokeh")


def bokeh_library() -> str:
    """Return BokehJS as a script that can stand in a page."""
    from bokeh.resources import Resources

    script = "\n".join(Resources(mode="inline", components=["bokeh"]).js_raw)
    return script.replace("</script", "<\\/script").replace("<!--", "\\u003c!--")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


_DRAW = """
(() => {
  "use strict";
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const button = document.getElementById("mode");
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null, views = [], turn = 0;
  async function draw() {
    const mode = "dark" in figures ? chosen ?? (system.matches ? "dark" : "light") : "light";
    const mine = ++turn;
    document.documentElement.dataset.mode = mode;
    if (button) {
      button.hidden = false;
      button.textContent = mode === "dark" ? "Light" : "Dark";
      button.setAttribute("aria-label", `Show the page in ${button.textContent.toLowerCase()} colours`);
    }
    for (const view of views) view?.clear?.();
    views = [];
    for (const [key, item] of Object.entries(figures[mode] ?? {})) {
      document.getElementById(key).replaceChildren();
      const view = await Bokeh.embed.embed_item(item, key);
      if (mine !== turn) { view?.clear?.(); return; }
      views.push(view);
    }
  }
  button?.addEventListener("click", () => {
    chosen = document.documentElement.dataset.mode === "dark" ? "light" : "dark";
    draw();
  });
  system.addEventListener("change", draw);
  draw();
})();
"""


def _style(modes: tuple[Mode, ...]) -> str:
    light, dark = css_variables("light"), css_variables("dark")
    if len(modes) == 1:
        colors = f":root {{ {light} }}"
    else:
        colors = (
            f":root {{ {light} }}\n"
            f'@media (prefers-color-scheme: dark) {{ :root:not([data-mode="light"]) {{ {dark} }} }}\n'
            f':root[data-mode="dark"] {{ {dark} }}'
        )
    return f"{colors}\n{_CSS.replace('FONT', FONT)}"


_CSS = """
*, *::before, *::after { box-sizing: border-box; }
body { margin: 0; background: var(--surface); color: var(--ink); font: 16px/1.55 FONT; }
main { max-width: 1040px; margin: 0 auto; padding: 40px 24px 64px; overflow-wrap: break-word; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 8px; letter-spacing: -0.01em; padding-right: 72px; }
h2 { font-size: 20px; line-height: 1.3; margin: 44px 0 12px; padding-top: 20px; border-top: 1px solid var(--grid); }
h3 { font-size: 15px; margin: 24px 0 8px; }
p { margin: 0 0 12px; max-width: 76ch; }
.subtitle, .note, caption { color: var(--muted); }
.note, caption { font-size: 14px; }
.summary { font-size: 18px; padding: 14px 18px; background: var(--raised); border-left: 4px solid var(--accent);
  border-radius: 0 6px 6px 0; max-width: none; margin: 20px 0; }
.scroll { overflow-x: auto; margin: 12px 0; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: 6px; }
th, td { text-align: left; padding: 7px 14px 7px 0; border-bottom: 1px solid var(--grid); vertical-align: top; }
th { color: var(--muted); font-weight: 600; vertical-align: bottom; }
td:last-child, th:last-child { padding-right: 4px; }
th:first-child, td:first-child { min-width: 9em; }
.number { text-align: right; }
td.number { white-space: nowrap; }
.used { font-weight: 600; }
.figure { margin: 16px 0; min-width: 0; }
.figures { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 8px 24px; align-items: start; }
.figures .figure { margin: 8px 0; }
.equations { display: flex; flex-direction: column; align-items: flex-start; margin: 12px 0; padding: 0 0 4px 24px;
  overflow-x: auto; }
.equations math { font-size: 18px; margin: 8px 0; }
dl { display: grid; grid-template-columns: minmax(140px, max-content) minmax(0, 1fr); gap: 6px 24px;
  margin: 12px 0; font-size: 14px; }
dt { color: var(--muted); }
dd { margin: 0; overflow-wrap: anywhere; }
code { font: 13px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
details { margin: 12px 0; }
summary { cursor: pointer; color: var(--accent); font-size: 14px; }
#mode { position: absolute; top: 16px; right: 16px; font: 13px FONT; color: var(--muted); background: none;
  border: 1px solid var(--grid); border-radius: 6px; padding: 5px 12px; cursor: pointer; }
#mode:hover, #mode:focus-visible { color: var(--ink); border-color: var(--muted); }
@media (max-width: 720px) {
  main { padding: 24px 16px 48px; }
  .figures { grid-template-columns: minmax(0, 1fr); }
  .figure { overflow-x: auto; overflow-y: hidden; }
}
@media print { #mode { display: none; } .figure, table { break-inside: avoid; } }
"""
