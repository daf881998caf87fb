"""Modules, and the hubs they are kept in."""

from moma_app.hub.card import Card
from moma_app.hub.hub import Damage, Hub
from moma_app.hub.module import Module

__all__ = ["Card", "Damage", "Hub", "Module"]
