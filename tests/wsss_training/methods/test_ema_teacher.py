import numpy as np
import pytest
import torch
from torch import nn

from wsss_perception.bundle import NetworkSpec
from wsss_perception.networks.minkunet import MinkUNet
from wsss_training.methods.ema_teacher import EmaTeacher


class Parent(nn.Module):
    """A student with its teacher, as a LightningModule holds them."""

    def __init__(self):
        super().__init__()
        self.student = make_student()
        self.teacher = EmaTeacher(self.student)


def make_student():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))


def disturb(student, seed):
    """Changes every parameter and buffer of the student, as training does."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter += torch.randn(parameter.shape, generator=generator)
        student.train()(torch.randn(8, 3, generator=generator) * 3 + 1)


def test_teacher_follows_the_literal_formula_over_updates():
    student = make_student()
    teacher = EmaTeacher(student)
    expected = {name: t.double().clone() for name, t in student.state_dict().items()}
    for step, momentum in enumerate([0.9, 0.5, 0.999]):
        disturb(student, step)
        teacher.update(student, momentum)
        for name, theirs in student.state_dict().items():
            if name.endswith("num_batches_tracked"):
                expected[name] = theirs.clone()
            else:
                expected[name] = momentum * expected[name] + (1 - momentum) * theirs.double()
    averaged = teacher.network.state_dict()
    assert averaged.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(averaged[name], value, atol=1e-5, err_msg=name)
    assert int(averaged["1.num_batches_tracked"]) == 3


def test_teacher_starts_as_a_copy_of_its_own():
    student = make_student()
    teacher = EmaTeacher(student)
    before = {name: t.clone() for name, t in student.state_dict().items()}
    disturb(student, 0)
    for name, value in teacher.network.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(parameter.requires_grad for parameter in student.parameters())


def test_teacher_and_student_are_untouched_by_gradients_of_losses_on_the_teachers_outputs():
    parent = Parent().train()
    x = torch.randn(6, 3, requires_grad=True)
    outputs = parent.teacher(x)
    assert not outputs.requires_grad
    assert not any(parameter.requires_grad for parameter in parent.teacher.parameters())
    (parent.student(x).softmax(dim=1) * outputs).sum().backward()
    assert all(parameter.grad is None for parameter in parent.teacher.parameters())
    assert all(parameter.grad is not None for parameter in parent.student.parameters())


def test_teacher_stays_untouched_by_an_optimizer_over_all_parameters():
    parent = Parent().train()
    before = [parameter.clone() for parameter in parent.teacher.parameters()]
    optimizer = torch.optim.SGD(parent.parameters(), lr=1.0, weight_decay=0.1)
    parent.student(torch.randn(6, 3)).square().sum().backward()
    optimizer.step()
    for parameter, old in zip(parent.teacher.parameters(), before, strict=True):
        assert torch.equal(parameter, old)


def test_teacher_stays_in_eval_mode_when_its_parent_trains():
    parent = Parent().train()
    assert parent.student.training
    assert not any(module.training for module in parent.teacher.modules())
    assert parent.teacher.train() is parent.teacher
    x = torch.randn(6, 3)
    statistics = parent.teacher.network[1].running_mean.clone()
    assert torch.equal(parent.teacher(x), parent.teacher(x))  # no dropout
    assert torch.equal(parent.teacher.network[1].running_mean, statistics)


def test_teacher_comes_back_from_a_checkpoint():
    student = make_student()
    teacher = EmaTeacher(student)
    disturb(student, 0)
    teacher.update(student, 0.5)
    resumed = EmaTeacher(make_student())
    resumed.load_state_dict(teacher.state_dict())
    x = torch.randn(6, 3)
    assert torch.equal(resumed(x), teacher(x))


def test_teacher_refuses_another_network():
    with pytest.raises(ValueError, match="shorter"):
        EmaTeacher(make_student()).update(nn.Linear(3, 4), 0.9)


def test_teacher_of_a_minkunet_gives_its_outputs_until_the_student_moves():
    torch.manual_seed(0)
    student = MinkUNet(NetworkSpec("small", width=0.25), inputs=2, classes=3)
    coords = torch.unique(torch.randint(-20, 20, (300, 3)), dim=0)
    coords = nn.functional.pad(coords, (1, 0)).int()
    features = torch.randn(len(coords), 2)
    student(coords, features).sum().backward()
    teacher = EmaTeacher(student)
    expected = student.eval()(coords, features)
    assert torch.allclose(teacher(coords, features), expected)
    with torch.no_grad():
        student.head.bias += 1.0
    teacher.update(student, 0.75)
    assert torch.allclose(teacher(coords, features), expected + 0.25, atol=1e-5)
    resumed = EmaTeacher(MinkUNet(NetworkSpec("small", width=0.25), inputs=2, classes=3))
    resumed.load_state_dict(teacher.state_dict())
    assert torch.equal(resumed(coords, features), teacher(coords, features))
