"""Who may come in, and from where."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
from http.cookiejar import CookieJar
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener, urlopen

import pytest
from serving import start, stop

from dashboards.server import Authentication, ServerOptions, is_loopback, serve
from moma_app.errors import InputError


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.0.2", "example.org", ""])
def test_an_address_that_others_reach_needs_a_login(address):
    with pytest.raises(InputError, match="--password"):
        serve(ServerOptions(address=address, port=0, browser=False), lambda _: None)


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
def test_the_machine_itself_does_not(address):
    assert is_loopback(address)


def test_the_command_says_so_in_one_sentence():
    done = subprocess.run(
        [sys.executable, "-m", "moma_app", "dashboard", "--no-browser", "--address", "0.0.0.0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: 0.0.0.0 can be reached from other machines")
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_said():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"cannot listen on 127.0.0.1:{port}"):
            serve(ServerOptions(port=port, browser=False), lambda _: None)


def test_a_wrong_setting_is_said_before_anything_is_served():
    done = subprocess.run(
        [sys.executable, "-m", "moma_app", "dashboard", "--no-browser", "--port", "0"],
        env={**os.environ, "MOMA_THREADS": "many"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: The environment variable MOMA_THREADS cannot be 'many'")


def test_a_password_from_the_environment_is_asked_for(tmp_path):
    server = start(tmp_path / "home", MOMA_DASHBOARD_PASSWORD="open sesame")
    visitor = build_opener(HTTPCookieProcessor(CookieJar()))
    try:
        for given in ("", "open", "open sesame"):
            login = visitor.open(server.url + "/runs", timeout=60)
            assert "/login" in login.url
            assert "http" not in login.read().decode()  # nothing comes from elsewhere
            form = urlencode({"username": "ada", "password": given}).encode()
            answer = visitor.open(Request(server.url + "/login", form), timeout=60)
            assert ("Invalid username or password" in answer.read().decode()) == (given != "open sesame")
        assert answer.url == server.url + "/runs"
    finally:
        stop(server)


def test_oauth_needs_its_key():
    with pytest.raises(InputError, match="key"):
        Authentication(provider="github").options()
    with pytest.raises(InputError, match="one way"):
        Authentication(password="x", provider="github").options()


def test_other_origins_are_refused(dashboard):
    connection = http.client.HTTPConnection("127.0.0.1", dashboard.port, timeout=20)
    connection.request(
        "GET",
        "/compose/ws",
        headers={
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Origin": "http://evil.example",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version": "13",
        },
    )
    assert connection.getresponse().status == 403


def test_the_first_page_is_light(dashboard):
    """First paint is to stay below 10 MB: the page itself must be a small part of that."""
    with urlopen(Request(dashboard.url + "/compose"), timeout=60) as answer:
        assert len(answer.read()) < 300_000
