"""What the Hub page shows, as its address says it."""

from __future__ import annotations

import param

from dashboards.address import PageState
from moma_app.hub.content import ORDERS, Search

STEPS = ("module",)
"""Parts of the state that "back" undoes."""


class HubState(PageState):
    """A hub, and one of its modules or a search among them; the training that is shown."""

    hub = param.String(doc="As services.get_hub takes it: empty, builtin or a folder.")
    module = param.String(doc="Module that is shown.")
    run = param.String(doc="Training that is shown.")
    text = param.String()
    backbone = param.String()
    kind = param.Selector(default="", objects=["", "full", "adapter"])
    family = param.String()
    order = param.Selector(default="name", objects=list(ORDERS))
    sheet = param.Integer(default=1, bounds=(1, None), doc="Page of the grid.")

    def search(self) -> Search:
        """Return what is looked for."""
        return Search(self.text, self.backbone, self.kind, self.family, self.order)
