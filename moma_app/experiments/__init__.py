"""Experiments: plans of cells, their progress, and tables of what has finished.

A plan (:class:`~moma_app.experiments.ablation.Ablation`, ``FewShot``, ``Continual``, ``Insights``) lists its
cells; each cell is a run of the job layer. A plan can be started, stopped and started again at any time and from any
face: what has finished is never done twice, because equal work has an equal digest. See ``docs/experiments.md``.
"""
