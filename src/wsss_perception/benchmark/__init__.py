"""Measures how long a model takes on this machine, stage by stage, in every engine."""
