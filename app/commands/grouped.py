"""Options in groups: a command takes a dataclass, the command line its fields."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import wraps
from inspect import Parameter
from typing import Any


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for each field of a parameter that is a dataclass.

    A field's annotation and default are those of the option, as in a parameter of its own.
    """
    stated = inspect.signature(command).parameters
    groups: dict[str, Any] = {
        name: each.annotation for name, each in stated.items() if is_dataclass(each.annotation)
    }
    options = [
        option
        for name, each in stated.items()
        for option in (map(_option, fields(groups[name])) if name in groups else [_named(each)])
    ]

    @wraps(command)
    def run(**values: Any) -> None:
        made = {
            name: group(**{each.name: values.pop(each.name) for each in fields(group)})
            for name, group in groups.items()
        }
        command(**values, **made)

    run.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in options}
    return run


def _option(field: Field[Any]) -> Parameter:
    default = Parameter.empty if field.default is MISSING else field.default
    return Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=field.type)


def _named(parameter: Parameter) -> Parameter:
    """In whatever order they come, those with a default may then go before those without."""
    return parameter.replace(kind=Parameter.KEYWORD_ONLY)
