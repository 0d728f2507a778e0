"""Warm-up of a loss's weight."""


def ramp(step: int, warm_up: int) -> float:
    """Grows linearly from 0 at step 0 to 1 at step ``warm_up``, and stays there.

    WSegPC warms up each of its losses so. Without a warm-up (0) it is 1 from the start.
    """
    return min(step / warm_up, 1.0) if warm_up else 1.0
