import pytest
import torch

from wsss_training.methods.schedule import one_cycle


def rates(steps: int) -> list[float]:
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], 1.0)
    schedule = one_cycle(optimizer, 0.01, steps)
    found = []
    for _ in range(steps):
        found.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return found


def test_learning_rate_peaks_after_a_tenth_and_ends_near_zero():
    found = rates(100)
    assert max(found) == found[9] == pytest.approx(0.01)
    assert found[0] < 0.001
    assert found[-1] < 1e-6


@pytest.mark.parametrize("steps", range(1, 13))
def test_short_runs_have_a_schedule_too(steps):
    assert all(0 < rate <= 0.01 for rate in rates(steps))
