"""Commands of ``python -m wsss_perception``, one file each."""
