"""A dataset whose samples carry their scene's tags."""

from collections.abc import Sequence
from dataclasses import replace

from wsss_perception.ontology import Ontology
from wsss_training.data.sample import Dataset, Sample
from wsss_training.tags.scene_tags import SceneTags


class TaggedDataset:
    """Gives the samples of a dataset the tags of their scenes; untagged ones keep None.

    Args:
        dataset: the dataset.
        tags: of its scenes.
    """

    def __init__(self, dataset: Dataset, tags: SceneTags) -> None:
        self.ontology: Ontology | None = dataset.ontology
        self.sample_ids: Sequence[str] = dataset.sample_ids
        self.tags = tags
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Sample:
        """Reads one sample; raises what the dataset raises."""
        sample = self._dataset[index]
        return replace(sample, tags=self.tags.vector(sample.scene))
