"""The frame around the pages: menu, theme, addresses, first paint."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from browsing import Tabs
from serving import Dashboard, stop

import dashboards
from dashboards.pages import PAGES


def test_the_menu_leads_from_page_to_page_and_back_returns(tabs):
    tab = tabs.open("/")
    for page in (*PAGES[1:], PAGES[0]):
        tab.get_by_role("link", name=page.title, exact=True).click()
        tab.get_by_text(page.summary).wait_for()
        assert tab.url == f"{tabs.dashboard.url}/{page.slug}"
        assert tab.title() == f"{page.title} · MoMa"
    tab.go_back()
    tab.get_by_text(PAGES[-1].summary).wait_for()


def test_the_theme_is_kept_for_the_next_page(tabs):
    tab = tabs.open("/runs")
    look = "getComputedStyle(document.body).backgroundColor"
    tab.get_by_text(PAGES[-1].summary).wait_for()
    light = tab.evaluate(look)
    tab.get_by_role("button", name="Toggle theme").click()
    tab.wait_for_function(f"{look} !== '{light}'")
    tab.wait_for_function("document.cookie.includes('moma_theme=dark')")
    tab.get_by_role("link", name="Hub", exact=True).click()
    tab.get_by_text("The modules, where they come from").wait_for()
    assert tab.evaluate(look) != light


def test_panels_own_command_serves_all_pages_under_one_address(chromium, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    log = (tmp_path / "log").open("w")
    app = Path(dashboards.__file__).with_name("app.py")
    server = subprocess.Popen(
        [sys.executable, "-m", "panel", "serve", str(app), "--port", str(port), "--address", "127.0.0.1"],
        env={**os.environ, "MOMA_HOME": str(tmp_path / "home"), "MOMA_ENGINE": "local", "MOMA_DATA": ""},
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    served = Dashboard(f"http://127.0.0.1:{port}", tmp_path / "home", server, tmp_path / "log")
    tabs = Tabs(chromium, served)
    try:
        for _ in range(300):
            if "running at" in served.log.read_text():
                break
            time.sleep(0.1)
        tab = tabs.open("/app?page=data&task=elemental_bulk_modulus")
        tab.get_by_text("train / validation / test").wait_for()
        tab.get_by_role("link", name="Runs").click()
        tab.get_by_text("Everything that ran or runs.").wait_for()
        assert tab.url.endswith("/app?page=runs")
    finally:
        tabs.close()
        stop(served)
    assert not tabs.problems
