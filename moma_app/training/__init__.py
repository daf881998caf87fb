"""Heads, fit loop, recipes and predictors."""
