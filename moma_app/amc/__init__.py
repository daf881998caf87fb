"""The method itself, one file per equation of the MoMa paper."""
