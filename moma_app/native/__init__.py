"""Compiled kernels for the CPU: C, built once per machine by its own compiler, called by ctypes.

The same operations exist in PyTorch, which runs on GPUs and where there is no compiler. The
file is built for the processor at hand (``-march=native``), so its name holds a hash of source,
compiler and processor: a home folder shared by unlike machines has one file for each.
"""
