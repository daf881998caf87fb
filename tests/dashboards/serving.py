"""A dashboard as a user starts it: a real server process, real workers, the system's Chromium."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.append(
    str(Path(__file__).parents[1])
)  # for the commands of this folder, which pytest does not start

from browser import CHROMIUM, FLAGS, SLOW

__all__ = ["CHROMIUM", "FLAGS", "RUN", "SALT", "SLOW", "Dashboard", "start", "stop"]

START = 90.0
RUN = 240_000
"""Milliseconds that a short run may take there, with the start of its workers."""

SALT = """data_NaCl
_cell_length_a 5.64
_cell_length_b 5.64
_cell_length_c 5.64
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F m -3 m'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Na Na 0 0 0
Cl Cl 0.5 0.5 0.5
"""
"""Rock salt as a CIF file."""


@dataclass
class Dashboard:
    """A running server.

    Attributes:
        url: without a slash at its end.
        home: its MOMA_HOME.
        log: all that it has printed.
    """

    url: str
    home: Path
    process: subprocess.Popen[bytes]
    log: Path
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def restart(self) -> None:
        """Start it anew at the same port."""
        again = start(self.home, "--port", str(self.port), *self.options, **self.environment)
        self.process, self.log = again.process, again.log


def start(home: Path, *options: str, **environment: str) -> Dashboard:
    """Start a server as a user does, and wait until it listens."""
    chosen = options if "--port" in options else ("--port", "0", *options)
    home.mkdir(parents=True, exist_ok=True)
    # Into a file: a pipe that nobody empties stops the server when it is full.
    log = home / f"dashboard-{len(list(home.glob('dashboard-*.log')))}.log"
    with log.open("w") as told:
        process = subprocess.Popen(
            [sys.executable, "-m", "moma_app", "dashboard", "--no-browser", *chosen],
            stdout=told,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                "MOMA_HOME": str(home),
                "MOMA_ENGINE": "local",
                "MOMA_DATA": "",
                **environment,
            },
            cwd=home,
        )
    deadline = time.monotonic() + START
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"is at (http://[\w.\[\]:]+:\d+)", log.read_text()):
            return Dashboard(found.group(1), home, process, log, options, environment)
        time.sleep(0.05)
    process.kill()
    raise RuntimeError(f"The dashboard did not start: {log.read_text()[-2000:]}")


def stop(server: Dashboard) -> None:
    """End a server and the workers of its home."""
    if server.process.poll() is None:
        server.process.send_signal(signal.SIGINT)
        try:
            server.process.wait(15)
        except subprocess.TimeoutExpired:
            server.process.kill()
    subprocess.run(
        [sys.executable, "-m", "moma_app", "workers", "stop"],
        env={**os.environ, "MOMA_HOME": str(server.home), "MOMA_ENGINE": "local"},
        capture_output=True,
        check=False,
        timeout=60,
    )
