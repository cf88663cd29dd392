"""Configurations (dataclasses) as the plain JSON that checkpoints and logs keep, and as TOML files that change one."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args, get_type_hints

from typeguard import TypeCheckError, check_type

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Config = TypeVar("Config")
KIND = "kind"
"""Key of a table that names the class of its field, where the field takes one of several."""


class ConfigurationError(ValueError):
    """A configuration file says something that no configuration has."""

    code = "configuration"


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


def read_changes(config: Config, path: Path) -> Config:
    """`config` with what a TOML file changes in it: a table for each nested configuration, a key for each field.

    Raises:
        ConfigurationError: the file cannot be read, or names a field that is unknown or of another type.
    """
    try:
        changes = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not TOML: {error}") from None
    try:
        return with_changes(config, changes)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from None


def with_changes(config: Config, changes: Mapping[str, Any], place: str = "") -> Config:
    """`config` with some fields changed.

    Raises:
        ConfigurationError: a field is unknown, of another type, or does not go with the others.
    """
    hints, changed = get_type_hints(type(config)), {}
    for name, value in changes.items():
        at = f"{place}.{name}" if place else name
        if name not in hints:
            raise ConfigurationError(f"{at} is unknown; {place or 'the top level'} has {', '.join(hints)}")
        changed[name] = _changed(getattr(config, name), value, hints[name], at)
    try:
        made = replace(cast("DataclassInstance", config), **changed)
    except ValueError as error:
        raise ConfigurationError(f"{place}: {error}") from None
    return cast(Config, made)


def _changed(now: Any, value: Any, hint: Any, at: str) -> Any:  # noqa: ANN401
    if isinstance(value, Mapping):
        return _of_table(now, value, hint, at)
    value = _tuples(value)
    try:
        return check_type(value, hint)
    except TypeCheckError as error:
        raise ConfigurationError(f"{at} = {value!r}: {error}") from None


def _of_table(now: Any, table: Mapping[str, Any], hint: Any, at: str) -> Any:  # noqa: ANN401
    rest = {name: value for name, value in table.items() if name != KIND}
    if KIND in table:
        kinds = {kind.__name__: kind for kind in get_args(hint) if isinstance(kind, type) and is_dataclass(kind)}
        if table[KIND] not in kinds:
            raise ConfigurationError(f"{at}.{KIND} = {table[KIND]!r} is none of {', '.join(kinds) or 'nothing'}")
        now = now if type(now).__name__ == table[KIND] else kinds[table[KIND]]()
    if is_dataclass(now):
        return with_changes(now, rest, at)
    if isinstance(now, Mapping):
        unknown = sorted(set(rest) - set(now))
        if unknown:
            raise ConfigurationError(f"{at}.{unknown[0]} is unknown; {at} has {', '.join(now)}")
        return {**now, **{key: _changed(now[key], rest[key], Any, f"{at}.{key}") for key in rest}}
    raise ConfigurationError(f"{at} is a value, not a table")


def _tuples(value: Any) -> Any:  # noqa: ANN401
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
