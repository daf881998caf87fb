"""Units of work that the job layer runs: compose, fine-tune, train a module, one cell of an experiment."""
