"""Where work runs, and its memory: Dask for the one, MLflow for the other."""
