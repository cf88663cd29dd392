"""Configurations (dataclasses) as the plain JSON that checkpoints and logs keep."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Config = TypeVar("Config")


def to_json(config: "DataclassInstance") -> dict[str, Any]:
    """A configuration as plain JSON: tuples become lists."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    return plain


def from_json(kind: type[Config], described: Mapping[str, Any]) -> Config:
    """The configuration that `to_json` described; its fields are numbers, texts and tuples of them.

    Raises:
        TypeError: a field is unknown.
    """
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in described.items()})
