"""Random choice of the point-pixel pairs that guidance compares (WSegPC, section 4.2)."""

import torch


def draw_pairs(
    view: torch.Tensor,
    generator: torch.Generator,
    pairs_per_view: int = 512,
    min_visible: int = 64,
) -> torch.Tensor:
    """Draws pairs of each view without replacement.

    Args:
        view: int64 [P], the view of each point-pixel pair; ids unique over the batch.
        generator: of any device; one on the CPU draws the same pairs on every device.
        pairs_per_view: most pairs of a view.
        min_visible: views with no more pairs than this give none.

    Returns:
        int64 [K], ascending indices into the pairs.
    """
    order, rank, size = _shuffled_ranks(view, generator)
    return order[(rank < pairs_per_view) & (size > min_visible)].sort().values


def limit_pairs(scene: torch.Tensor, generator: torch.Generator, most: int = 512) -> torch.Tensor:
    """Draws at most ``most`` pairs of each scene, those that enter its loss.

    Args:
        scene: int64 [P], the scene of each pair.
        generator: see ``draw_pairs``.
        most: most pairs of a scene.

    Returns:
        int64 [K], ascending indices into the pairs.
    """
    order, rank, _ = _shuffled_ranks(scene, generator)
    return order[rank < most].sort().values


def _shuffled_ranks(
    group: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Shuffles rows within groups: indices [P], and rank and size of each within its group [P]."""
    shuffled = torch.randperm(len(group), generator=generator, device=generator.device)
    shuffled = shuffled.to(group.device)
    order = shuffled[group[shuffled].argsort(stable=True)]
    _, inverse, sizes = torch.unique_consecutive(
        group[order], return_inverse=True, return_counts=True
    )
    first = sizes.cumsum(dim=0) - sizes
    rank = torch.arange(len(group), device=group.device) - first[inverse]
    return order, rank, sizes[inverse]
