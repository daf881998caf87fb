"""Serves the dashboard: every page at its own address."""

from __future__ import annotations

import ipaddress
import logging
import secrets
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dashboards.services import get_jobs
from moma_app.errors import InputError, MomaError

MEGABYTE = 1_000_000
CHUNK = 10 * MEGABYTE
"""Of an upload, sent in one message."""
WARM_AFTER = 4.0
"""Seconds from the first page to the start of the local workers, which would slow its drawing down."""
STATIC = Path(__file__).parent / "static"


@dataclass(frozen=True)
class Authentication:
    """Who may come in.

    Attributes:
        password: one password for all, or the path of a JSON file {user: password}.
        provider, key, secret, redirect_uri: of OAuth, as Panel has them (``github``, ``google``, ``generic``, …).
    """

    password: str | None = None
    provider: str | None = None
    key: str | None = None
    secret: str | None = None
    redirect_uri: str | None = None

    def __bool__(self) -> bool:
        return bool(self.password or self.provider)

    def options(self) -> dict[str, Any]:
        """Return Panel's options.

        Raises:
            InputError: OAuth without key and secret, or both ways at once.
        """
        if self.password and self.provider:
            raise InputError("Choose one way to log in: a password or OAuth.")
        cookies = {"cookie_secret": secrets.token_urlsafe(32), "oauth_encryption_key": None}
        if self.password:
            return {"basic_auth": self.password, "login_template": str(STATIC / "login.html"), **cookies}
        if self.provider:
            if not (self.key and self.secret):
                raise InputError("OAuth needs the key and the secret that the provider gave you.")
            return {
                "oauth_provider": self.provider,
                "oauth_key": self.key,
                "oauth_secret": self.secret,
                "oauth_redirect_uri": self.redirect_uri,
                **cookies,
            }
        return {}


@dataclass(frozen=True)
class ServerOptions:
    """How the dashboard is served.

    Attributes:
        address: to listen on.
        port: 0 for any that is free.
        browser: open one.
        origins: hosts (``name:port``) from which pages may connect, besides the server's own address.
        authentication: needed on an address that others can reach.
        max_upload_mb: the most that one upload may have.
    """

    address: str = "127.0.0.1"
    port: int = 5006
    browser: bool = True
    origins: tuple[str, ...] = ()
    authentication: Authentication = field(default_factory=Authentication)
    max_upload_mb: int = 200


def serve(options: ServerOptions, ready: Callable[[str], None]) -> None:
    """Serve until interrupted.

    Args:
        options: see :class:`ServerOptions`.
        ready: is called with the address to open when the server listens.

    Raises:
        InputError: the address can be reached by others and nobody has to log in, or it cannot be listened on.
    """
    if not is_loopback(options.address) and not options.authentication:
        raise InputError(
            f"{options.address} can be reached from other machines, and whoever reaches the dashboard can run work and "
            "read data here: add --password or OAuth (see docs/dashboard.md), or listen on 127.0.0.1 and use an SSH tunnel."
        )
    import panel as pn

    from dashboards.pages import HOME, PAGES
    from dashboards.shell import build_page, prepare
    from dashboards.uploads import set_limit

    set_limit(options.max_upload_mb)
    # The origins that may connect are fixed before the server listens.
    port = options.port or _free_port(options.address)

    warming = threading.Timer(WARM_AFTER, _warm)
    warming.daemon = True

    def builder(page: Any) -> Callable[[], Any]:
        def build() -> Any:
            prepare()
            built = build_page(page, lambda slug, query: f"/{slug}{query}")
            if not warming.ident:
                warming.start()
            return built

        return build

    pages = {"/": HOME, **{page.slug: page for page in PAGES}}
    routes = {route: builder(page) for route, page in pages.items()}
    try:
        server = pn.io.server.get_server(
            routes,
            title={route: page.tab for route, page in pages.items()},
            address=options.address,
            port=port,
            websocket_origin=_origins(options, port),
            static_dirs={"moma": str(STATIC)},
            websocket_max_message_size=2 * CHUNK,
            http_server_kwargs={"max_buffer_size": 2 * CHUNK},
            keep_alive_milliseconds=10_000,
            session_token_expiration=86_400,
            start=False,
            show=False,
            **options.authentication.options(),
        )
    except OSError as exc:
        raise InputError(
            f"The dashboard cannot listen on {options.address}:{port} ({exc.strerror or exc}): choose another --port."
        ) from exc
    server.start()
    address = f"http://{_shown(options.address)}:{server.port}"
    ready(address)
    if options.browser:
        server.io_loop.add_callback(lambda: _open(address))
    try:
        server.io_loop.start()
    finally:
        server.stop(wait=False)


def _warm() -> None:
    """Load what the first run needs and start the local workers, so that nobody waits for them."""
    try:
        get_jobs().prepare()
    except MomaError as exc:
        logging.getLogger("moma.dashboard").warning("%s", exc)  # the first run will tell the user


def is_loopback(address: str) -> bool:
    """Return whether only this machine can reach an address."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _origins(options: ServerOptions, port: int) -> list[str]:
    names = {_shown(options.address), *(("localhost", "127.0.0.1") if is_loopback(options.address) else ())}
    return [*(f"{name}:{port}" for name in sorted(names)), *options.origins]


def _free_port(address: str) -> int:
    with socket.create_server(
        (address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET
    ) as taken:
        return int(taken.getsockname()[1])


def _shown(address: str) -> str:
    return f"[{address}]" if ":" in address else "127.0.0.1" if address == "0.0.0.0" else address  # noqa: S104


def _open(address: str) -> None:
    import webbrowser

    webbrowser.open(address)
