"""How fast and how large the first page is, right after the server has started: a command, not a test.

``python tests/dashboards/first_paint.py [--repeats 5]`` starts a server in an empty home for each repeat, opens the home page in a
browser without a cache, and prints seconds from the request to the first paint and to the page's heading, and what was transferred.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright
from serving import CHROMIUM, FLAGS, start, stop


def measure(browser: Browser, home: Path) -> tuple[float, float, float]:
    """Return seconds to the first paint, seconds to the heading, and megabytes as they are on the wire."""
    server = start(home)
    try:
        context = browser.new_context()
        page = context.new_page()
        network = context.new_cdp_session(page)
        received: list[float] = []
        network.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
        network.send("Network.enable")
        begun = time.perf_counter()
        page.goto(server.url, wait_until="commit")
        page.locator("h5, .MuiTypography-h5").first.wait_for()
        heading = time.perf_counter() - begun
        page.wait_for_timeout(1000)
        paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        context.close()
        return paint / 1000, heading, sum(received) / 1e6
    finally:
        stop(server)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        found = [measure(browser, Path(folder, str(n))) for n in range(repeats)]
        browser.close()
    for name, unit, values in zip(
        ("first paint", "heading", "transferred"), ("s", "s", "MB"), zip(*found, strict=True), strict=True
    ):
        print(
            f"{name}: median {statistics.median(values):.2f} {unit} ({min(values):.2f} to {max(values):.2f}, {repeats} servers)"
        )


if __name__ == "__main__":
    main()
