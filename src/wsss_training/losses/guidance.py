"""Cross-modal guidance: features of one modality guide those of the other (WSegPC, section 3.2).

Every loss here compares projected student features with the guide's features at the same places,
point by pixel, scene by scene: pairs of different scenes never meet, also where the student saw
two scenes mixed. The guide gets no gradient. The losses are summed over scenes, as in WSegPC's
published implementation: with its batch of 4 scenes, a weight of 0.05 is one of 0.2 on the mean.
"""

from collections.abc import Callable, Iterator

import torch
from torch.nn import functional

_SHORTEST = 1e-6
"""Features shorter than this have no direction; they are not scaled up to length 1."""

Guidance = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""(student [M, D], guide [M, D], scene [M]) -> scalar."""


def contrastive_guidance(
    student: torch.Tensor, guide: torch.Tensor, scene: torch.Tensor, temperature: float = 0.07
) -> torch.Tensor:
    """Point-wise contrastive distillation (WSegPC, eq. 1).

    ``L = -sum_s 1/M_s sum_i log(exp(k_i.q_i / T) / sum_j exp(k_i.q_j / T))``, where i and j run
    over the M_s pairs of scene s; k and q are the normalised features of student and guide.

    Args:
        student: projected features [M, D].
        guide: features [M, D] of the other modality, row by row of the same place.
        scene: int64 [M], the original scene of each pair; any ids.
        temperature: T.

    Returns:
        Scalar; 0, with a gradient of 0, without pairs.
    """
    total = student.float().sum() * 0.0
    with torch.autocast(student.device.type, enabled=False):
        for k, q in _unit_rows_of_scenes(student, guide, scene):
            itself = torch.arange(len(k), device=k.device)
            total = total + functional.cross_entropy(k @ q.T / temperature, itself)
    return total


def affinity_guidance(
    student: torch.Tensor, guide: torch.Tensor, scene: torch.Tensor
) -> torch.Tensor:
    """Matches the cosine similarities within each modality ("Affinity" in WSegPC's ablation).

    ``L = sum_s 1/M_s^2 sum_ij (k_i.k_j - q_i.q_j)^2``; arguments as of ``contrastive_guidance``.
    The paper gives no formula: that the distance is squared is our choice.
    """
    total = student.float().sum() * 0.0
    with torch.autocast(student.device.type, enabled=False):
        for k, q in _unit_rows_of_scenes(student, guide, scene):
            total = total + functional.mse_loss(k @ k.T, q @ q.T)
    return total


def mse_guidance(student: torch.Tensor, guide: torch.Tensor, scene: torch.Tensor) -> torch.Tensor:
    """Pulls the features of a pair together ("MSE" in WSegPC's ablation).

    ``L = sum_s 1/M_s sum_i |k_i - q_i|^2``; arguments as of ``contrastive_guidance``. The paper
    gives no formula: that features are normalised first is our choice.
    """
    total = student.float().sum() * 0.0
    for k, q in _unit_rows_of_scenes(student, guide, scene):
        total = total + (k - q).square().sum(dim=1).mean()
    return total


GUIDANCE: dict[str, Guidance] = {
    "contrastive": contrastive_guidance,
    "affinity": affinity_guidance,
    "mse": mse_guidance,
}


def _unit_rows_of_scenes(
    student: torch.Tensor, guide: torch.Tensor, scene: torch.Tensor
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yields the normalised pairs of each scene; those of the guide are detached."""
    order = scene.argsort(stable=True)
    sizes = torch.unique_consecutive(scene[order], return_counts=True)[1].tolist()
    students = _unit_rows(student[order]).split(sizes)
    return zip(students, _unit_rows(guide.detach()[order]).split(sizes), strict=True)


def _unit_rows(features: torch.Tensor) -> torch.Tensor:
    features = features.float()
    length = features.norm(dim=1, keepdim=True)
    return features / torch.where(length > _SHORTEST, length, 1.0)
