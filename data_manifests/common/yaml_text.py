"""YAML as all of our files are read: settings, presets, recipes, decisions, manifests of data sets, meta files."""

import re
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """YAML 1.1 takes 3e-4, without a point, for a word; YAML 1.2 and everybody who sets a learning rate do not."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


def load_yaml(text: str) -> Any:
    """The value of a YAML text; nothing in it can run code, and 3e-4 is a number.

    >>> load_yaml("3e-4"), load_yaml("[0, 1]"), load_yaml("none")
    (0.0003, [0, 1], 'none')

    Raises:
        ValueError: it is not YAML, or nested too deeply to be read.
    """
    try:
        return yaml.load(text, _Loader)  # a safe loader
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
