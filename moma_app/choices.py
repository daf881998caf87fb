"""Names that settings choose from; a file of their own, because it must import nothing heavy."""

from __future__ import annotations

from typing import Literal

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["fp32", "tf32", "bf16"]
Kernel = Literal["auto", "native", "torch"]
Engine = Literal["local", "inline"]
LogLevel = Literal["debug", "info", "warning", "error"]
