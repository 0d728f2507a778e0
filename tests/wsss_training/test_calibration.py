import pytest
import torch

from wsss_training.calibration import expected_calibration_error, fit_temperature


def overconfident(temperature, points=20000):
    """Logits whose labels are drawn from softmax(z / temperature)."""
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(points, 4, generator=generator)
    probabilities = (logits / temperature).softmax(dim=1)
    return logits, torch.multinomial(probabilities, 1, generator=generator)[:, 0]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_fit_temperature_recovers_the_one_that_labels_were_drawn_with(temperature):
    logits, labels = overconfident(temperature)
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.05)


def test_fit_temperature_lowers_the_calibration_error():
    logits, labels = overconfident(3.0)

    def error(scaled):
        confidence, predicted = scaled.softmax(dim=1).max(dim=1)
        return expected_calibration_error(confidence, predicted == labels)

    assert error(logits) > 0.2
    assert error(logits / fit_temperature(logits, labels)) < 0.02


def test_expected_calibration_error_of_a_hand_computed_case():
    confidence = torch.tensor([0.95, 0.95, 0.55, 0.55])
    correct = torch.tensor([True, True, True, False])
    expected = (2 * 0.05 + 2 * 0.05) / 4
    assert expected_calibration_error(confidence, correct, bins=10) == pytest.approx(expected)


def test_calibration_of_no_points_is_neutral():
    assert fit_temperature(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64)) == 1.0
    assert expected_calibration_error(torch.zeros(0), torch.zeros(0, dtype=torch.bool)) == 0.0
