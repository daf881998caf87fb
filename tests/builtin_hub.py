"""What the built-in hub has, for tests that show all of it: it grows from edition to edition."""

from __future__ import annotations

from moma_app.hub.hub import Hub

FULL = [module.name for module in Hub.open("builtin").select(kind="full")]
"""Names of its full modules, sorted."""
