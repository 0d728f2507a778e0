"""Dataset readers: every one yields the same Sample."""
