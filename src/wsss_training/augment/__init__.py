"""Augmentations of training sweeps, one idea a file."""
