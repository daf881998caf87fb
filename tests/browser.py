"""The system's Chromium, as all tests in a browser start it."""

from __future__ import annotations

import shutil

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--use-angle=swiftshader",  # WebGL without a graphics card
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
]
SLOW = 60_000
"""Milliseconds that anything on a page may take on a busy machine."""
TIMEOUT = 900
"""Seconds for a whole path through a page on a busy machine; without a browser 300 are enough."""
