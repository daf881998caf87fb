"""The work that is timed: one file for each kind, with a function for each side."""
