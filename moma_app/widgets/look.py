"""How widgets look: one style for all, in the colours of the notebook's theme."""

from __future__ import annotations

from typing import Any, Literal

from moma_app.markup import Child, Markup, element, join
from moma_app.plots.theme import FONT
from moma_app.widgets.toolkit import ipywidgets

Look = Literal["auto", "light", "dark"]
"""``auto`` draws for light themes and turns the lightness of figures over where the theme is dark."""

_DARK = ':is([data-jp-theme-light="false"], .vscode-dark, .vscode-high-contrast)'
_STYLE = f"""
.moma {{ --moma-ink: var(--jp-ui-font-color1, var(--vscode-foreground, #1f2328));
  --moma-muted: var(--jp-ui-font-color2, var(--vscode-descriptionForeground, #59636e));
  --moma-line: var(--jp-border-color2, var(--vscode-panel-border, #d8dde3));
  --moma-accent: var(--jp-brand-color1, var(--vscode-textLink-foreground, #0072b2));
  --moma-error: var(--jp-error-color1, var(--vscode-errorForeground, #c62828));
  --moma-raised: var(--jp-layout-color2, var(--vscode-editorWidget-background, #f4f6f8));
  color: var(--moma-ink); font-family: {FONT}; padding: 6px 2px; overflow: visible; }}
.moma .widget-html-content, .moma .jupyter-widgets {{ font-family: inherit; }}
.moma .widget-html, .moma .widget-html > .widget-html-content {{ line-height: 1.45; min-width: 0; }}
.moma-html p {{ margin: 2px 0; }}
.moma-muted {{ color: var(--moma-muted); }}
.moma-error {{ color: var(--moma-error); }}
.moma-error:not(:empty)::before {{ content: "✗ "; }}
.moma-title {{ font-size: 15px; font-weight: 600; }}
.moma-facts {{ display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 1px 14px; margin: 2px 0;
  overflow-wrap: anywhere; }}
.moma-facts dt {{ color: var(--moma-muted); font-weight: 400; }}
.moma-facts dd {{ margin: 0; }}
.moma-badge {{ border: 1px solid var(--moma-line); border-radius: 9px; padding: 0 7px; font-size: 11px;
  color: var(--moma-muted); white-space: nowrap; }}
.moma-cards {{ display: grid !important; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: 8px; }}
.moma-card {{ border: 1px solid var(--moma-line); border-radius: 6px; padding: 6px 10px; margin: 0 !important; }}
.moma-card.moma-chosen {{ border-color: var(--moma-accent); box-shadow: inset 0 0 0 1px var(--moma-accent); }}
.moma-card .jupyter-button {{ background: none; color: var(--moma-accent); text-align: left; padding: 0; width: 100%;
  height: 24px; font-weight: 600; box-shadow: none; margin: 0; }}
.moma-card .moma-facts {{ font-size: 12px; line-height: 1.4; gap: 0 10px; }}
.moma-spark polyline {{ fill: none; stroke: var(--moma-accent); stroke-width: 1.5; }}
.moma-switches {{ flex-flow: row wrap; gap: 4px; align-items: center; }}
.moma-switches .jupyter-button {{ width: auto; height: 24px; line-height: 22px; padding: 0 8px; margin: 0; font-size: 12px;
  border: 1px solid var(--moma-line); border-radius: 12px; background: none; color: var(--moma-muted); box-shadow: none; }}
.moma-switches .jupyter-button.mod-active {{ border-color: var(--moma-accent); color: var(--moma-ink);
  background: color-mix(in srgb, var(--moma-accent) 14%, transparent); }}
.moma-rows select {{ font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 12px;
  white-space: pre; line-height: 1.5; }}
.moma-rows .widget-html-content {{ font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: 12px; white-space: pre; color: var(--moma-muted); padding-left: 5px; overflow: hidden; }}
.moma table {{ border-collapse: collapse; font-size: 12px; font-variant-numeric: tabular-nums; }}
.moma th, .moma td {{ text-align: left; padding: 2px 14px 2px 0; border-bottom: 1px solid var(--moma-line); }}
.moma th {{ color: var(--moma-muted); font-weight: 600; }}
.moma .number {{ text-align: right; }}
.moma-figure {{ overflow-x: auto; overflow-y: hidden; }}
{_DARK} .moma-auto .moma-figure > * {{ filter: invert(0.93) hue-rotate(180deg); }}
"""


def style() -> Any:
    """Return the widget that brings the style into the page; takes no place."""
    return ipywidgets.HTML(str(element("style", Markup(_STYLE))), layout=ipywidgets.Layout(display="none"))


def html(content: Child = "", *classes: str, **layout: str) -> Any:
    """Return a widget of text or markup.

    Args:
        content: text, which is shown literally, or markup.
        classes: of the widget.
        layout: CSS of its box.
    """
    widget = ipywidgets.HTML(str(join([content])), layout=ipywidgets.Layout(margin="0", **layout))
    for name in ("moma-html", *classes):
        widget.add_class(name)
    return widget


def row(*children: Any, **layout: str) -> Any:
    """Return widgets side by side, below one another where there is no room."""
    return ipywidgets.HBox(
        children,
        layout=ipywidgets.Layout(flex_flow="row wrap", align_items="center", grid_gap="2px 12px", **layout),
    )


def facts(values: dict[str, str]) -> Markup:
    """Return names and values below one another; empty values are left out."""
    pairs = [(name, value) for name, value in values.items() if value]
    return element(
        "dl",
        join(join([element("dt", name), element("dd", value)]) for name, value in pairs),
        class_="moma-facts",
    )


def muted(text: str) -> Markup:
    """Return a text of less weight."""
    return element("span", text, class_="moma-muted")
