"""Benchmarks: our engine against today's way, both sides in one run, as ratios.

``cases`` says what is compared, ``work`` holds one file for each kind of work, ``worker`` measures
one side in a process of its own, ``session`` and ``run`` lead the workers, ``result`` is what
comes out. ``growth`` measures how our time grows with rows, modules and atoms.
"""
