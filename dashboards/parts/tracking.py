"""Where runs are recorded, and how to look at them with MLflow's own pages; no password is shown."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from urllib.parse import urlsplit, urlunsplit

from moma_app.config.places import without_password


@dataclass(frozen=True)
class Tracking:
    """The tracking store as people see it.

    Attributes:
        place: its address, without a password.
        link: of its pages, if it is a server; else empty.
        command: that starts MLflow's pages on it, if it is none; else empty.
    """

    place: str
    link: str
    command: str


def tracking_of(uri: str) -> Tracking:
    """Describe a tracking store by its MLflow URI."""
    parts = urlsplit(uri)
    if parts.scheme in ("http", "https"):
        address = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
        return Tracking(address, address, "")
    place = without_password(uri.partition("?")[0])  # options of a database may hold passwords too
    return Tracking(place, "", f"mlflow ui --backend-store-uri {shlex.quote(place)}")


def mlflow_pages_installed() -> bool:
    """Say whether ``mlflow ui`` is here: ``mlflow-skinny``, which the job layer needs, has no pages."""
    try:
        distribution("mlflow")
    except PackageNotFoundError:
        return False
    return True
