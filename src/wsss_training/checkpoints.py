"""Reading parts of the checkpoints that trainings leave."""

from pathlib import Path

import torch


def read_part(checkpoint: Path, name: str) -> dict[str, torch.Tensor]:
    """Reads the state of one part of a trained module.

    Args:
        checkpoint: file that a training wrote.
        name: of the part, such as ``teacher.network``.

    Returns:
        The part's own ``state_dict``, on the CPU.
    """
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    prefix = f"{name}."
    return {key.removeprefix(prefix): v for key, v in saved.items() if key.startswith(prefix)}


def read_steps(checkpoint: Path) -> int:
    """Reads how many optimizer steps a checkpoint is after."""
    return int(torch.load(checkpoint, map_location="cpu", weights_only=True)["global_step"])
