"""Scene tags: which classes occur in a scene, the cheapest of all labels."""

from wsss_training.tags.scene_tags import SceneTags, read_tags, write_tags

__all__ = ["SceneTags", "read_tags", "write_tags"]
