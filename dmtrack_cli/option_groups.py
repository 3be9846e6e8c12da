"""From the library's option types to the options of a command: `@grouped` commands take whole types.

The signature of a command shows Typer every `Option` of an option type among its parameters, and the command
gets the object. A parameter annotated with an `Option` becomes an option too.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import keyword
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import typer

from dmtrack.errors import ConfigError
from dmtrack.options import DeclaredOption, Option, built, declared_options, option_in

Command = TypeVar("Command", bound=Callable[..., None])


class Without:
    """Leaves out options of a type that a command does not have: `Annotated[T, Without("--fit")]`."""

    def __init__(self, *names: str) -> None:
        self.names = names


@dataclass(frozen=True, slots=True)
class _Group:
    """An option type among the parameters of a command."""

    option_type: type
    options: tuple[DeclaredOption, ...]

    def take(self, values: dict[str, Any]) -> object:
        """Build the type from its values among those of all options."""
        own = {}
        for one in self.options:
            value = values.pop(_parameter_name(one.option))
            own[one.place] = tuple(value or ()) if _is_list(one) else value
        return built(self.option_type, own)


def grouped(command: Command) -> Command:
    """Show Typer the options of every option type among the parameters of `command`."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, _Group] = {}
    shown: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        hint = hints[parameter.name]
        option = option_in(hint)
        group = None if option is not None else _group(hint)
        if group is not None:
            groups[parameter.name] = group
            shown.extend(_parameter(one, _parameter_name(one.option)) for one in group.options)
        elif option is not None:
            declared = DeclaredOption((), get_args(hint)[0], option, parameter.default)
            shown.append(_parameter(declared, parameter.name))
        else:
            kind = inspect.Parameter.KEYWORD_ONLY
            shown.append(parameter.replace(annotation=hint, kind=kind))
    if len({parameter.name for parameter in shown}) < len(shown):
        raise TypeError(f"two options of {command.__name__} have the same name")

    @functools.wraps(command)
    def called(**values: Any) -> None:  # noqa: ANN401 - whatever the options are
        made = {name: group.take(values) for name, group in groups.items()}
        command(**values, **made)

    called.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    return called  # type: ignore[return-value]


def _group(hint: Any) -> _Group | None:  # noqa: ANN401 - type hints have no common type
    left_out: tuple[str, ...] = ()
    if get_origin(hint) is Annotated:
        hint, *notes = get_args(hint)
        left_out = next((note.names for note in notes if isinstance(note, Without)), ())
    if not (isinstance(hint, type) and dataclasses.is_dataclass(hint)):
        return None
    options = tuple(one for one in declared_options(hint) if one.option.long_name not in left_out)
    return _Group(hint, options)


def _parameter_name(option: Option) -> str:
    name = option.long_name.lstrip("-").replace("-", "_").lower()
    return f"{name}_" if keyword.iskeyword(name) else name


def _parameter(declared: DeclaredOption, name: str) -> inspect.Parameter:
    """Return the option as a parameter for Typer."""
    option, default = declared.option, declared.default
    if default is dataclasses.MISSING:
        default = inspect.Parameter.empty
    elif default is not None and declared.parse is not None and not _is_list(declared):
        default = option.write(default)  # Typer parses defaults like values
    is_number = declared.parse is not None and option.parse is None
    shown: dict[str, Any] = {
        "metavar": option.names if option.is_argument else option.metavar or ("N" if is_number else None),
        "help": option.help,
        "show_default": default not in (None, ()),
        "rich_help_panel": option.panel,
        "parser": None if declared.parse is None else _parser(option, declared.parse),
    }
    if option.is_argument:
        note: object = typer.Argument(**shown)
    else:
        note = typer.Option(*option.names.split(), **shown)
    annotation = Annotated[_typer_kind(declared), note]  # type: ignore[valid-type]  # made while running
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None if default == () else default,
        annotation=annotation,
    )


def _typer_kind(declared: DeclaredOption) -> Any:  # noqa: ANN401 - type hints have no common type
    """Return the type for Typer: text if the option has its own parser."""
    if _is_list(declared):
        return list[str] | None if declared.parse else list[get_args(declared.kind)[0]] | None  # type: ignore[misc]
    if declared.parse is None:
        return declared.kind
    is_optional = declared.default is not dataclasses.MISSING
    return str | None if is_optional else str


def _parser(option: Option, parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a parser whose error for an invalid word names the option."""

    def parsed(text: str) -> Any:  # noqa: ANN401 - whatever the option holds
        try:
            return parse(text)
        except ConfigError as error:
            where = error.where or (None if option.is_argument else option.long_name)
            raise ConfigError(error.what, where=where, hint=error.hint) from None
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    return parsed


def _is_list(declared: DeclaredOption) -> bool:
    return get_origin(declared.kind) is tuple and Ellipsis in get_args(declared.kind)
