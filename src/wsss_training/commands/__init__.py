"""Commands of ``python -m wsss_training``, one file each."""
