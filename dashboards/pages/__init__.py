"""The pages: one file each, imported when it is first opened."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from panel.viewable import Viewable

    from dashboards.session import Session


class BuildPage(Protocol):
    """Builds a page for a session; returns what it shows, from top to bottom."""

    def __call__(self, session: Session, /) -> Sequence[Viewable]:
        """Return the parts of the page."""


@dataclass(frozen=True)
class PageInfo:
    """A page as menus and addresses know it.

    Attributes:
        slug: its address.
        title: in menu and browser tab.
        icon: name of a Material icon.
        summary: what it is for, one sentence.
    """

    slug: str
    title: str
    icon: str
    summary: str

    @property
    def tab(self) -> str:
        """Title of the browser's tab."""
        return f"{self.title} · MoMa"

    def build(self, session: Session) -> Sequence[Viewable]:
        """Build the page; its module ``dashboards.pages.<slug>`` has a function ``build``."""
        build: BuildPage = import_module(f"{__name__}.{self.slug.replace('-', '_')}").build
        return build(session)


PAGES = (
    PageInfo("compose", "Compose", "hub", "Weigh the hub's modules for a small dataset and predict at once."),
    PageInfo("insights", "Insights", "grid_on", "Which modules help which tasks."),
    PageInfo("finetune", "Fine-tune", "tune", "Train a predictor, watch it, compare it."),
    PageInfo("ablations", "Ablations", "radar", "What each part of AMC is worth."),
    PageInfo("few-shot", "Few-shot", "show_chart", "The error with 10, 100 or all labels."),
    PageInfo("continual", "Continual", "add_chart", "What new modules change."),
    PageInfo("predict", "Predict", "batch_prediction", "Properties of your own structures."),
    PageInfo("hub", "Hub", "inventory_2", "The modules, where they come from and what they can do."),
    PageInfo("data", "Data", "dataset", "Bring your own dataset and look at it."),
    PageInfo("runs", "Runs", "history", "Everything that ran or runs."),
)
BY_SLUG = {page.slug: page for page in PAGES}
HOME = PAGES[0]
