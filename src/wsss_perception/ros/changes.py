"""Parameters that must fit the model: checks before they change, and what follows."""

from collections.abc import Sequence
from dataclasses import replace

from rclpy.node import Node
from rclpy.parameter import Parameter

from wsss_perception.errors import WsssError
from wsss_perception.model_spec import ModelSpec
from wsss_perception.query import find_query
from wsss_perception.ros.model import Model
from wsss_perception.ros.outputs import Selection
from wsss_perception.ros.parameters import read_parameter

_CLASSES = ("filter_classes", "ground_classes")  # parameters that are names of classes


def check_changes(node: Node, spec: ModelSpec, parameters: Sequence[Parameter]) -> None:
    """Checks new values against the model.

    Raises:
        OntologyError: a name is no class of the model.
        TextsError: the model cannot be asked for the phrase.
    """
    arrays = [p for p in parameters if p.type_ == Parameter.Type.STRING_ARRAY]
    changed = {p.name: tuple(filter(None, p.value)) for p in arrays if p.name in _CLASSES}
    if changed:
        Selection.of(node, **changed).check(spec.ontology)
    for parameter in parameters:
        if parameter.name == "query" and parameter.type_ == Parameter.Type.STRING:
            check_query(node, spec, parameter.value)


def check_query(node: Node, spec: ModelSpec, phrase: str) -> None:
    """Checks that a model can be asked for a phrase; an empty one asks for nothing.

    Raises:
        TextsError: it cannot.
    """
    if phrase:
        find_query(spec, phrase, read_parameter(node, "text_model"))


def with_query(node: Node, model: Model) -> Model:
    """Gives a model the phrase of the parameter ``query``; none where that cannot be."""
    phrase, text_model = (read_parameter(node, name) for name in ("query", "text_model"))
    query = None
    try:
        if phrase:
            query = find_query(model.spec, phrase, text_model)
    except WsssError as error:  # it was set for the model before
        node.get_logger().warning(f"parameter 'query' has no effect: {error}")
    return replace(model, query=query)
