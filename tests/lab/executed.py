"""The notebooks with what they show, as Markdown with pictures, for docs/notebooks: ``make notebooks-docs``.

Each notebook is run in a home of its own. Figures, widgets and other HTML are photographed in Chromium, because GitHub shows
neither scripts nor styles; tables stay tables. With MOMA_DATA set, ``03_materials_insights`` finds the published weights there.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))  # this is a command, which pytest does not start

from browser import CHROMIUM, FLAGS
from running import FIGURE, NOTEBOOKS, execute

WIDTH = 860
SLOWEST = 300_000
"""Milliseconds until all figures must be drawn."""
SETTLED = 2000
"""Milliseconds that they then get to find their size."""
DRAWN = (
    "[...document.querySelectorAll('.shown [data-root-id]')].every((place) => place.childElementCount > 0)"
)
COLOURS = 128
PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; background: white; font: 14px system-ui, sans-serif; width: {width}px; }}
.shown {{ padding: 6px; overflow: hidden; }}
</style><body>{body}</body>"""


def main() -> None:
    """Run the notebooks and write one page for each, with its pictures."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("folder", type=Path, help="where the pages go")
    asked.add_argument("--only", default="", help="notebooks whose names begin so")
    given = asked.parse_args()
    if CHROMIUM is None:
        raise SystemExit("This needs Chromium: apt-get install chromium.")
    for path in NOTEBOOKS:
        if path.stem.startswith(given.only):
            write(path, given.folder)


def write(path: Path, folder: Path) -> None:
    """Run a notebook and write its page."""
    from nbconvert import MarkdownExporter

    with tempfile.TemporaryDirectory() as scratch:
        os.environ["MOMA_HOME"] = str(Path(scratch) / "home")
        done = execute(path, Path(scratch))
    photographed(done.content)
    images = folder / "images"
    for old in images.glob(f"{path.stem}_*.png"):
        old.unlink()
    resources = {"output_files_dir": "images", "unique_key": path.stem}
    text, found = MarkdownExporter().from_notebook_node(done.content, resources)
    images.mkdir(parents=True, exist_ok=True)
    for name, data in found["outputs"].items():
        (folder / name).write_bytes(data)
    origin = f"*What [{path.name}](../../notebooks/{path.name}) shows when it is run; made by `make notebooks-docs`.*"
    title, _, rest = text.lstrip().partition("\n")
    (folder / f"{path.stem}.md").write_text(f"{title}\n\n{origin}\n{tidy(rest)}", encoding="utf-8")
    size = sum(len(data) for data in found["outputs"].values()) / 1000
    print(
        f"{path.stem}: {done.seconds:.0f} s of processor time, {len(found['outputs'])} pictures, {size:.0f} kB"
    )


def tidy(text: str) -> str:
    """Return Markdown without what GitHub does not show, and without lines of spaces only."""
    text = re.sub(r"<style.*?</style>\n?", "", text, flags=re.DOTALL)
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+\n", "\n", text)).rstrip() + "\n"


def photographed(notebook: Any) -> None:
    """Replace HTML that needs scripts or styles by pictures of it, in place."""
    from playwright.sync_api import sync_playwright

    parts, places = [], {}
    for number, output in enumerate(outputs(notebook)):
        data = output.get("data", {})
        if "application/javascript" in data:
            script = data["application/javascript"].replace("</script", "<\\/script")
            parts.append(f"<script>{script}</script>")
        elif FIGURE in data and "text/plain" not in data:  # of Panel itself, not of a cell
            output["data"] = {}
        elif "text/html" in data and not is_table(data):
            places[number] = output
            parts.append(f'<div class="shown" id="out-{number}">{data["text/html"]}</div>')
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as scratch:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": WIDTH, "height": 900})
        page.route(re.compile("^https?://"), lambda route: route.abort())
        place = Path(scratch) / "page.html"
        place.write_text(PAGE.format(width=WIDTH, body="\n".join(parts)), encoding="utf-8")
        page.goto(place.as_uri())
        page.wait_for_function(DRAWN, timeout=SLOWEST)
        page.wait_for_timeout(SETTLED)
        for number, output in places.items():
            shown = page.locator(f"#out-{number}")
            box = shown.bounding_box()
            if box is None or box["height"] <= 20:  # what only loads something shows nothing
                output["data"] = {}
                continue
            output["data"] = {"image/png": base64.b64encode(small(shown.screenshot())).decode()}
        browser.close()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [each for each in cell.outputs if each["output_type"] == "stream" or keeps(each)]


def outputs(notebook: Any) -> Iterator[Any]:
    """Yield all outputs of a notebook."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            yield from cell.outputs


def is_table(data: dict[str, Any]) -> bool:
    """Return whether an output is a data frame."""
    return 'class="dataframe"' in data["text/html"] and FIGURE not in data


def keeps(output: Any) -> bool:
    """Return whether something of an output can be shown without scripts."""
    data = output.get("data", {})
    return bool(data) and "application/javascript" not in data


def small(picture: bytes) -> bytes:
    """Return a PNG of few colours."""
    from PIL import Image

    with io.BytesIO() as into:
        Image.open(io.BytesIO(picture)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(
            into, "PNG", optimize=True
        )
        return into.getvalue()


if __name__ == "__main__":
    main()
