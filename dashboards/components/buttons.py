"""Buttons that do something, and whose errors become messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel_material_ui as pmui

from dashboards.session import Session


def action_button(
    session: Session, label: str, icon: str, action: Callable[[], None], **options: Any
) -> pmui.Button:
    """Return a small button.

    Args:
        session: of the page.
        label: what it does, in a word or two.
        icon: name of a Material icon.
        action: is called in the page when the button is pressed.
        options: of the button.
    """
    button = pmui.Button(label=label, icon=icon, **{"size": "small", "variant": "outlined", **options})
    button.on_click(session.guard(lambda _: action()))
    return button


def back_button(session: Session, label: str, action: Callable[[], None]) -> pmui.Button:
    """Return the button that leads from one thing back to all."""
    return action_button(session, label, "arrow_back", action, variant="text", align="center")
