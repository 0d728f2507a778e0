"""The options of dataset readers: typed by the readers' own signatures."""

from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from wsss_perception.errors import DatasetError

_NOT_OPTIONS = ("root", "labels", "return")
_BOOLEANS = {"true": True, "false": False}


def option_types(reader: Any) -> dict[str, Any]:
    """Returns the options that a reader takes, each of list, str, int, float or bool."""
    hints = get_type_hints(reader.__init__)
    return {name: _plain(hint) for name, hint in hints.items() if name not in _NOT_OPTIONS}


def check_option(where: str, value: Any, kind: type) -> None:
    """Checks a value that a configuration gives to an option.

    Raises:
        DatasetError: it is of another type; ``where`` names dataset and option.
    """
    if kind is list:
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise DatasetError(f'{where}: {value!r} is not a list of quoted names, such as ["00"]')
        return
    accepted = (int, float) if kind is float else kind
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise DatasetError(f"{where}: {value!r} is not of type {kind.__name__}")


def parse_option(where: str, text: str, kind: type) -> Any:
    """Reads an option's value from a command line; names of a list are separated by commas.

    Raises:
        DatasetError: the text is no value of that type.
    """
    try:
        if kind is list:
            return text.split(",") if text else []
        return _BOOLEANS[text.lower()] if kind is bool else kind(text)
    except (KeyError, ValueError):
        raise DatasetError(f"{where}: '{text}' is not of type {kind.__name__}") from None


def _plain(hint: Any) -> type:
    """Takes ``| None`` and what a list holds off a type."""
    kinds = [kind for kind in get_args(hint) if kind is not NoneType]
    if get_origin(hint) is not list and kinds:
        hint = kinds[0]
    return get_origin(hint) or hint
