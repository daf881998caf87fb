"""``moma dashboard``: the application in the browser."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from moma_app.cli.output import say
from moma_app.config import get_settings
from moma_app.config.sources import SECRETS

_PASSWORD, _KEY, _SECRET = SECRETS


def dashboard(
    address: Annotated[str, typer.Option("--address", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = 5006,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser.")] = True,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option("--allow-origin", metavar="HOST:PORT", help="Pages from here may connect too."),
    ] = None,
    password: Annotated[
        str | None,
        typer.Option(
            "--password",
            envvar=_PASSWORD,
            help="Ask for this password, or for those of a JSON file {user: password}.",
        ),
    ] = None,
    oauth: Annotated[
        str | None, typer.Option("--oauth", metavar="PROVIDER", help="Log in with OAuth: github, google, …")
    ] = None,
    oauth_key: Annotated[
        str | None, typer.Option("--oauth-key", envvar=_KEY, help="The client's id.")
    ] = None,
    oauth_secret: Annotated[
        str | None, typer.Option("--oauth-secret", envvar=_SECRET, help="The client's secret.")
    ] = None,
    oauth_redirect: Annotated[
        str | None,
        typer.Option("--oauth-redirect", metavar="URL", help="Where the provider sends users back to."),
    ] = None,
    max_upload: Annotated[
        int, typer.Option("--max-upload", min=1, metavar="MB", help="The most that one upload may have.")
    ] = 200,
) -> None:
    """Open the dashboard in the browser. Ctrl-C ends it; runs go on."""
    from dashboards.server import Authentication, ServerOptions, serve

    get_settings()  # what is wrong with them is said now, not on every page
    for name in SECRETS:
        os.environ.pop(name, None)  # the workers that this process starts need not know
    options = ServerOptions(
        address=address,
        port=port,
        browser=browser,
        origins=tuple(allow_origin or ()),
        authentication=Authentication(password, oauth, oauth_key, oauth_secret, oauth_redirect),
        max_upload_mb=max_upload,
    )

    def ready(url: str) -> None:
        say(f"The dashboard is at {url} (Ctrl-C ends it; runs go on).")

    serve(options, ready)
