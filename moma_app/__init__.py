"""MoMa: modular deep learning for material property prediction.

Importing this package is cheap and has no side effects: torch, pymatgen and matminer are
imported by the rooms that need them, when they need them.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("moma-app")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
