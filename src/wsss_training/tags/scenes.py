"""The scenes of a dataset, without reading a sweep."""

from wsss_training.data.sample import Dataset, scene_of


def samples_by_scene(dataset: Dataset) -> dict[str, list[int]]:
    """Returns the indices of each scene's samples; scenes and samples in the dataset's order."""
    index: dict[str, list[int]] = {}
    for number, sample_id in enumerate(dataset.sample_ids):
        index.setdefault(scene_of(sample_id), []).append(number)
    return index
