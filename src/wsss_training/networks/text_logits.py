"""Class logits of embeddings: how like the classes' texts they are."""

import torch
from torch import nn
from torch.nn import functional

from wsss_perception.errors import ConfigError
from wsss_perception.texts import BACKGROUND, TextEmbeddings


class TextLogits(nn.Module):
    """Compares embeddings with texts: ``z_c = s max_t cos(f, t)`` over the texts t of class c.

    Args:
        texts: vectors of every class, synonyms under the same name, and background prompts;
            other phrases have no part.
        classes: names of the C classes.
        scale: s, the teacher's ``logit_scale``.

    Attributes:
        classes: C.
        background: whether there are background prompts.

    Raises:
        ConfigError: a class has no text.
    """

    vectors: torch.Tensor

    def __init__(self, texts: TextEmbeddings, classes: tuple[str, ...], scale: float) -> None:
        super().__init__()
        missing = [name for name in classes if name not in texts.names]
        if missing:
            raise ConfigError(
                f"vlg.texts: no text for {', '.join(missing)}; there are "
                f"{', '.join(dict.fromkeys(texts.names))}"
            )
        rows = [[k for k, known in enumerate(texts.names) if known == name] for name in classes]
        prompts = [k for k, known in enumerate(texts.names) if known.startswith(BACKGROUND)]
        self.background = bool(prompts)
        self._scale, self.classes = scale, len(classes)
        groups = [*rows, prompts] if prompts else rows
        width = max(map(len, groups))
        # a class with fewer texts has its first one again: that changes no maximum
        table = [group + group[:1] * (width - len(group)) for group in groups]
        self.register_buffer("vectors", torch.from_numpy(texts.vectors), persistent=False)
        # no buffer: averaging of weights (EMA) would round whole numbers down, step by step
        self._table = torch.tensor(table)

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Computes logits of the classes alone, float32 [N, C], of embeddings [N, D]."""
        return self._logits(embeddings, self._table[: self.classes])

    def with_background(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Computes logits [N, C + 1]; the last are of the background, -inf without prompts."""
        logits = self._logits(embeddings, self._table)
        if self.background:
            return logits
        return functional.pad(logits, (0, 1), value=-torch.inf)

    def _logits(self, embeddings: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        cosine = functional.normalize(embeddings.float(), dim=1) @ self.vectors.T
        return self._scale * cosine[:, table].amax(dim=2)


class TextClassifier(nn.Module):
    """A 3D network whose output is embeddings, with their class logits.

    Args:
        network: maps voxels to embeddings [V, D].
        texts: of the classes.
    """

    def __init__(self, network: nn.Module, texts: TextLogits) -> None:
        super().__init__()
        self.network, self.texts = network, texts

    def forward(self, coords: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Computes class logits [V, C] of voxels; see ``MinkUNet``."""
        return self.texts(self.network(coords, features))
