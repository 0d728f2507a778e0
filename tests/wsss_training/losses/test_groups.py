import numpy as np
import torch

from wsss_training.losses.groups import group_means


def test_group_means_equal_numpy_and_are_zero_for_empty_groups():
    rng = np.random.default_rng(0)
    values, group = rng.normal(size=(50, 3)), rng.choice([0, 1, 3], 50)
    means = group_means(torch.from_numpy(values), torch.from_numpy(group), groups=5)
    assert means.dtype == torch.float32
    for index in (0, 1, 3):
        expected = values[group == index].mean(axis=0)
        np.testing.assert_allclose(means[index], expected, atol=1e-6)
    assert (means[[2, 4]] == 0).all()


def test_group_means_of_many_half_precision_rows_are_exact():
    values = torch.full((300_000, 1), 0.1, dtype=torch.bfloat16)
    mean = group_means(values, torch.zeros(300_000, dtype=torch.int64), groups=1)
    np.testing.assert_allclose(mean.item(), float(values[0, 0]), rtol=1e-6)
