"""This process as a unit's networks find it: threads, device, its share of a fit."""

from __future__ import annotations

import torch

from moma_app.config import get_settings
from moma_app.jobs.context import Context
from moma_app.runtime import pick_device, prepare
from moma_app.training.parallel import Parallel, hardware_of, launched_processes


def use_machine(device: str, context: Context) -> str:
    """Set threads from the settings, note the hardware with the run, and return the device's name."""
    settings = get_settings()
    if settings.threads:
        torch.set_num_threads(settings.threads)
    prepare()
    name = settings.device if device == "auto" else device
    context.facts(hardware=hardware_of(launched_processes(), pick_device(name)))
    return name


def share_of(strategy: str) -> Parallel:
    """Return how this process shares its fit: with those that a launcher started, else with none.

    Lightning would start others by running this program's command again, which is a worker's, or
    a face that would record the run twice; the job layer starts them with torchrun instead.
    """
    return Parallel(None if launched_processes() > 1 else 1, strategy=strategy)
