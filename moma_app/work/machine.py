"""Readies this process for a unit's networks."""

from __future__ import annotations

import torch

from moma_app.config import get_settings
from moma_app.jobs.context import Context
from moma_app.runtime import describe_hardware, pick_device, prepare


def use_machine(device: str, context: Context) -> str:
    """Set threads from the settings, note the hardware with the run, and return the device's name."""
    settings = get_settings()
    if settings.threads:
        torch.set_num_threads(settings.threads)
    prepare()
    name = settings.device if device == "auto" else device
    context.facts(hardware=describe_hardware(pick_device(name)))
    return name
