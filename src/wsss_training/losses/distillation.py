"""Transfer of what a guide knows to a student: the student's classes become the guide's."""

import torch
from torch.nn import functional


def transfer_loss(student_logits: torch.Tensor, guide_logits: torch.Tensor) -> torch.Tensor:
    """Mean of ``KL(softmax(c) || softmax(z))`` (MSDKT; our choice, see ``deformable_transfer``).

    Args:
        student_logits: z [P, C].
        guide_logits: c [P, C], row by row of the same point; they get no gradient.

    Returns:
        Scalar float32, also within autocast; 0, with a gradient of 0, without rows.
    """
    with torch.autocast(student_logits.device.type, enabled=False):
        student = student_logits.float().log_softmax(dim=1)
        guide = guide_logits.detach().float().log_softmax(dim=1)
        losses = functional.kl_div(student, guide, reduction="sum", log_target=True)
    return losses / max(len(student), 1)
