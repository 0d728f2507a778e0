"""Zero-shot scene tags: which classes a vision-language teacher believes to see in a scene."""

import numpy as np
from numpy.typing import NDArray

from wsss_perception.texts import BACKGROUND, TextEmbeddings

BEST_CELLS, LEAST_CELLS = 0.01, 4
"""Share of a view's cells, and least number of them, that speak for a class."""

BEST_VIEWS, LEAST_VIEWS = 0.1, 2
"""Share of a scene's views, and least number of them, that speak for a class."""


def class_probabilities(
    cells: NDArray[np.float32],
    texts: TextEmbeddings,
    classes: tuple[str, ...],
    logit_scale: float,
) -> NDArray[np.float32]:
    """What each cell of a view is, by its nearest text.

    ``softmax(logit_scale * cosine)`` over the classes and the background prompts; of synonyms the
    nearest counts. Without background prompts everything that is seen is one of the classes.

    Args:
        cells: embeddings [n, D], of length 1; those of length 0 say nothing and are left out.
        texts: of the classes, and of the background.
        classes: C names; those without a text have the probability 0.
        logit_scale: the teacher's.

    Returns:
        float32 [m, C], m cells that say something.
    """
    cosines = cells[cells.any(axis=1)] @ texts.vectors.T
    names = list(dict.fromkeys(texts.names))
    columns = [[i for i, other in enumerate(texts.names) if other == name] for name in names]
    best = np.stack([cosines[:, of_name].max(axis=1) for of_name in columns], axis=1)
    powers = np.exp(logit_scale * (best - best.max(axis=1, keepdims=True)))
    powers /= powers.sum(axis=1, keepdims=True)
    found = np.zeros((len(best), len(classes)), dtype=np.float32)
    for column, name in enumerate(names):
        if not name.startswith(BACKGROUND):
            found[:, classes.index(name)] = powers[:, column]
    return found


def view_scores(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """How surely a view shows each class: mean probability of its best cells for the class.

    The best hundredth of the cells counts, and at least four: a thing need not fill the view.

    Args:
        probabilities: of its cells [m, C].

    Returns:
        float32 [C]; 0 for a view of which nothing is said.
    """
    return _mean_of_best(probabilities, BEST_CELLS, LEAST_CELLS)


def scene_confidence(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """How surely a scene shows each class: mean score of its best views for the class.

    The best tenth of the views counts, and at least two: one view alone is often mistaken. This is
    what to sort and to cut by, and no probability: how often a confidence of 0.8 is right has to
    be looked at.

    Args:
        scores: of its views [V, C].

    Returns:
        float32 [C]; 0 for a scene without views.
    """
    return _mean_of_best(scores, BEST_VIEWS, LEAST_VIEWS)


def _mean_of_best(values: NDArray[np.float32], share: float, least: int) -> NDArray[np.float32]:
    """Mean of each column's [n, C] greatest values: a share of them, and at least so many."""
    count = min(max(int(np.ceil(share * len(values))), least), len(values))
    if not count:
        return np.zeros(values.shape[1], dtype=np.float32)
    return np.partition(values, -count, axis=0)[-count:].mean(axis=0)
