"""The machine under the work: devices, threads, memory allocator, random seeds."""

from __future__ import annotations

import ctypes
import os
import platform
import random
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
import torch

from moma_app.choices import Precision
from moma_app.errors import InputError


def pick_device(name: str = "auto") -> torch.device:
    """Return the device to run on; ``auto`` takes a CUDA GPU, else the CPU.

    Raises:
        InputError: the named device is not present.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise InputError("No CUDA GPU is visible to PyTorch: use --device cpu, or check nvidia-smi.")
    if name == "mps" and not torch.backends.mps.is_available():
        raise InputError("PyTorch finds no Apple GPU (MPS): use --device cpu.")
    return torch.device(name)


@contextmanager
def arithmetic(precision: Precision, device: torch.device) -> Iterator[None]:
    """Compute in this precision inside the block; a CPU always computes in float32.

    ``tf32`` rounds the inputs of matrix products to 10 bits of mantissa, ``bf16`` runs them in
    bfloat16 (8 bits): relative errors of about 1e-3 and 1e-2, so neither is the default.
    """
    if device.type != "cuda" or precision == "fp32":
        yield
    elif precision == "bf16":
        with torch.autocast("cuda", dtype=torch.bfloat16):
            yield
    else:
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)


def prepare() -> None:
    """Set the CPU up for many medium-sized tensor operations; done once per thread that computes.

    Two settings, each worth up to half of a training step:

    - Denormal numbers are flushed to zero. Saturated gates give gradients near 1e-40, which the
      processor multiplies a hundred times slower, and which change nothing. Threads inherit
      the setting when they start, so this should run before the first tensor operation.
    - glibc keeps large freed blocks instead of mapping and clearing them anew for every tensor
      (Linux only). The process then keeps its peak memory until it ends.
    """
    if getattr(_prepared, "done", False):
        return
    _prepared.done = True
    torch.set_flush_denormal(True)
    _prepare_process()


_prepared = threading.local()


@cache
def _prepare_process() -> None:
    threads = torch.get_num_threads()
    if threads > 1:  # let worker threads that exist already be replaced by new ones
        torch.set_num_threads(1)
        torch.set_num_threads(threads)
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        m_trim_threshold, m_mmap_max = -1, -4
        libc = ctypes.CDLL(None)
        libc.mallopt(m_mmap_max, 0)
        libc.mallopt(m_trim_threshold, 2**31 - 1)


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and PyTorch, so that the same seed gives the same result."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - libraries below us read the global state
    torch.manual_seed(seed)


def describe_hardware(device: torch.device) -> str:
    """Return one line that names the processor a result was made on."""
    threads = torch.get_num_threads()
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, {os.cpu_count()} CPU cores"
    return f"{_cpu_name()}, {threads} thread{'s' if threads > 1 else ''}"


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:  # noqa: PTH123 - a kernel interface
            for line in stream:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        return platform.processor() or platform.machine()
    return platform.machine()
