"""Errors a user can act on: each message says what was wrong, where, and what to do."""


class WsssError(Exception):
    """Base of every error the commands report as one line instead of a traceback."""


class GeometryError(WsssError):
    """A transform, camera model or frame name that cannot be used."""


class OntologyError(WsssError):
    """An ontology or mapping file that contradicts its schema or names unknown classes."""


class DatasetError(WsssError):
    """A dataset file that is missing, cut short or inconsistent with its neighbours."""


class TagsError(WsssError):
    """A file of scene tags that does not fit its schema or its dataset."""


class MessageError(WsssError):
    """A ROS message whose layout cannot be decoded."""


class BundleError(WsssError):
    """A model bundle that is incomplete, altered or of another schema version."""


class TextsError(WsssError):
    """Text embeddings that cannot be read, or do not fit their model or teacher."""


class EngineError(WsssError):
    """An inference engine that cannot run here."""


class BagError(WsssError):
    """A rosbag2 that cannot be read or written."""


class ConfigError(WsssError):
    """A configuration file or override that does not fit the schema."""


class RosError(WsssError):
    """A ROS 2 process, topic or message type that cannot be used."""
