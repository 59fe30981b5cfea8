"""Texts that users send to see how they arrive."""

MARK = "[Test] "
"""How such a text begins, for whoever gets it and for whoever reads the conversation."""
