"""Options that belong together, as frozen dataclasses: `@grouped` commands take whole groups.

A group's fields are options as Typer knows them (`Annotated[..., typer.Option(...)]` with a default).
The command's signature shows Typer the fields, and the command gets the group. So an option is
written down once, whatever commands have it, and a group travels as one value.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from typer.models import OptionInfo

Command = TypeVar("Command", bound=Callable[..., None])


def grouped(command: Command) -> Command:
    """Let Typer see the fields of every dataclass among the parameters of `command`."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, tuple[type, list[str]]] = {}
    shown: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        hint = hints[parameter.name]
        if not (isinstance(hint, type) and dataclasses.is_dataclass(hint)):
            shown.append(parameter.replace(annotation=hint))
            continue
        fields = list(_parameters(hint))
        groups[parameter.name] = (hint, [field.name for field in fields])
        shown.extend(fields)
    if len({parameter.name for parameter in shown}) < len(shown):
        raise TypeError(f"two options of {command.__name__} have the same name")

    @functools.wraps(command)
    def called(**values: Any) -> None:  # noqa: ANN401 - whatever the options are
        made = {
            name: group(**{field: values.pop(field) for field in fields})
            for name, (group, fields) in groups.items()
        }
        command(**values, **made)

    called.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    return called  # type: ignore[return-value]


def words(group: object) -> Iterator[str]:
    """Yield the words of a command line that give `group`: one for each option that is not its default."""
    for field, name in _options(type(group)):
        value = getattr(group, field.name)
        if value == field.default:
            continue
        on, _, off = name.partition("/")
        if isinstance(value, bool):
            yield on if value else off
        else:
            yield f"{on}={value}"


def _parameters(group: type) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    for field, _ in _options(group):
        yield inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )


def _options(group: type) -> Iterator[tuple[dataclasses.Field[Any], str]]:
    """Yield every field with the name of its option (`--name`, or `--name/--no-name`)."""
    hints = get_type_hints(group, include_extras=True)
    for field in dataclasses.fields(group):
        hint = hints[field.name]
        notes = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
        option = next((note for note in notes if isinstance(note, OptionInfo)), None)
        # In Annotated, what Typer keeps as the default is the option's first name.
        if option is None or not isinstance(option.default, str) or field.default is dataclasses.MISSING:
            raise TypeError(f"{group.__name__}.{field.name} is no named option with a default")
        yield field, option.default
