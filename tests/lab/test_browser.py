"""The quickstart in JupyterLab, in a browser: all cells run, and a slider of the Composer changes the weights."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from moma_app.lab.notebooks import FIRST

pytestmark = pytest.mark.skipif(
    find_spec("jupyterlab") is None, reason="needs JupyterLab: pip install -e '.[test]'"
)
ROOT = Path(__file__).parents[2]
TOKEN = "of-the-tests"
START = 600.0
"""Seconds until the server must answer."""
RUN = 600_000
"""Milliseconds for all cells on a machine that has other work to do."""
OWN = ("127.0.0.1", "localhost")


@dataclass
class Server:
    """A running JupyterLab."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def lab(tmp_path):
    """``moma lab`` as a user starts it, on copies of the notebooks, with settings and home of its own."""
    port, log = free_port(), tmp_path / "lab.log"
    own = {
        name: str(tmp_path / name.lower())
        for name in (
            "MOMA_HOME",
            "JUPYTER_CONFIG_DIR",
            "JUPYTER_DATA_DIR",
            "JUPYTER_RUNTIME_DIR",
            "JUPYTERLAB_SETTINGS_DIR",
            "JUPYTERLAB_WORKSPACES_DIR",
            "IPYTHONDIR",
        )
    }
    command = [
        sys.executable,
        "-m",
        "moma_app",
        "lab",
        str(tmp_path / "notebooks"),
        "--no-browser",
        "--port",
        str(port),
    ]
    with log.open("w") as told:
        process = subprocess.Popen(
            command,
            stdout=told,
            stderr=subprocess.STDOUT,
            cwd=tmp_path,
            env={
                **os.environ,
                **own,
                "PYTHONPATH": str(ROOT),
                "JUPYTER_TOKEN": TOKEN,
                "OMP_NUM_THREADS": "1",
            },
            start_new_session=True,
        )
    server = Server(f"http://127.0.0.1:{port}", process, log)
    try:
        wait_for(server)
        yield server
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # its kernels are of its session
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def wait_for(server: Server) -> None:
    end = time.monotonic() + START
    while time.monotonic() < end and server.process.poll() is None:
        try:
            with urllib.request.urlopen(f"{server.url}/api/status?token={TOKEN}", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start: {server.log.read_text()[-3000:]}")


def table_after(page, words: str) -> str:
    """Return the text of the output below the code cell that has these words."""
    cell = page.locator(".jp-CodeCell", has=page.locator(".jp-InputArea", has_text=words)).last
    return cell.locator(".jp-OutputArea").inner_text()


@pytest.mark.timeout(1800)
def test_the_quickstart_runs_and_a_slider_changes_the_weights(chromium, lab, tmp_path):
    from playwright.sync_api import expect

    context = chromium.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(f"page error: {error}"))
    page.on(
        "request",
        lambda request: (
            problems.append(f"outside request: {request.url}")
            if request.url.startswith(("http", "ws")) and request.url.split("/")[2].split(":")[0] not in OWN
            else None
        ),
    )
    try:
        page.goto(f"{lab.url}/lab/tree/{FIRST}?token={TOKEN}")
        page.locator(".jp-Notebook .jp-MarkdownCell h1").first.wait_for()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        last = page.locator(".jp-Notebook .jp-CodeCell").last.locator(
            ".jp-InputPrompt", has_text=re.compile(r"\[\d+\]")
        )
        failed = page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.error']")
        last.or_(failed).first.wait_for(timeout=RUN)
        assert failed.count() == 0
        assert page.locator(".jp-OutputArea .bk-Figure, .jp-OutputArea .bk-Canvas").count() > 0

        composer = page.locator(".moma", has=page.get_by_text("Neighbours K")).first
        composer.scroll_into_view_if_needed()
        line = composer.get_by_text(re.compile(r"^K = \d+, T = "))
        expect(line).to_have_text(
            re.compile("^K = 5"), use_inner_text=True
        )  # JupyterLab draws what is in view
        before = line.inner_text()
        weights = table_after(page, "composer.result.to_dataframe()")
        handle = composer.locator(".noUi-handle").first
        handle.focus()
        for _ in range(4):
            page.keyboard.press("ArrowLeft")
        composer.get_by_text(re.compile(r"^K = 1, T = ")).wait_for()
        assert line.inner_text() != before
        page.screenshot(path=tmp_path / "composer.png")
        assert page.get_by_text("official Jupyter news").count() == 0  # nobody is asked before he begins

        cell = page.locator(
            ".jp-CodeCell", has=page.locator(".jp-InputArea", has_text="composer.result.to_dataframe()")
        ).last
        cell.locator(".jp-InputArea-editor").click()
        prompt = cell.locator(".jp-InputPrompt").inner_text()
        page.keyboard.press("Control+Enter")
        page.wait_for_function(
            "([cell, before]) => /\\[\\d+\\]/.test(cell.querySelector('.jp-InputPrompt').innerText) && "
            "cell.querySelector('.jp-InputPrompt').innerText !== before",
            arg=[cell.element_handle(), prompt],
        )
        assert table_after(page, "composer.result.to_dataframe()") != weights
    finally:
        page.screenshot(path=tmp_path / "end.png")
        context.close()
    assert not problems, "\n".join(problems)
