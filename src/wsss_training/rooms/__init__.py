"""Synthetic furnished rooms, recorded by a hand-held RGB-D camera, in ScanNet's layout."""
