"""Options, declared once: an option type says how each of its fields is given on a command line.

    @dataclass(frozen=True, slots=True)
    class Options:
        offset_s: Annotated[
            Fraction, Option("--offset-ms", "Added to the times.", parse=seconds_of_ms, write=ms_text)
        ] = Fraction(0)

Callers of the library set fields and never need an `Option`. A command line presents `declared_options`, and
makes the object with `built`; `command_words` is the way back. Fields that are option types themselves are
included; fields without an `Option` are for callers only. A class attribute `PANEL` is the heading of all
options of a type.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from dmtrack.errors import ConfigError
from dmtrack.numbers import exact, finite, whole

OptionType = TypeVar("OptionType")


@dataclass(frozen=True, slots=True)
class Option:
    """How a field is given on a command line."""

    # `--fit`, `-o --output`, `--anchor/--no-anchor`; without a dash it is a positional argument
    names: str
    help: str  # a sentence for people
    metavar: str | None = None  # placeholder for its value in the help
    panel: str | None = None  # heading under which it is listed; None: that of its type
    # From the text to the exact value; raises `ValueError` for malformed text, and `DmtrackError` for an
    # invalid value. None: the type of the field suffices.
    parse: Callable[[str], Any] | None = None
    write: Callable[[Any], str] = str  # from the value to text that `parse` reads
    least: float = 0  # the smallest allowed number
    most: float = 1_000_000_000  # the largest

    @property
    def is_argument(self) -> bool:
        """Whether it is a positional argument."""
        return not self.names.startswith("-")

    @property
    def long_name(self) -> str:
        """`--output`; for a switch with two names the one that turns it on."""
        return self.names.split()[-1].partition("/")[0]

    def names_file(self, text: str) -> bool:
        """Return whether a value of it may be the path of a file or folder."""
        metavar = self.metavar or ""
        is_path = metavar.endswith("PATH") and any(mark in text for mark in "/\\.")  # else it is a NAME
        return self.is_argument or metavar.startswith("FILE") or is_path

    def within(self, number: float) -> float:
        """Return a number in the allowed range; `ValueError` for any other."""
        if not self.least <= number <= self.most:
            side, end = ("below", self.least) if number < self.least else ("above", self.most)
            raise ValueError(f"{number:.15g} is {side} {end:.15g}")
        return number


@dataclass(frozen=True, slots=True)
class DeclaredOption:
    """A field with its option."""

    place: tuple[str, ...]  # names of the nested fields that lead to it
    kind: Any  # its type
    option: Option
    default: Any  # `dataclasses.MISSING` without one

    @property
    def parse(self) -> Callable[[str], Any] | None:
        """The parser of its text; None if its type suffices: paths, words, switches."""
        kinds = {kind for kind in get_args(self.kind) if kind is not type(None)} or {self.kind}
        if self.option.parse is not None or not kinds & {int, float}:
            return self.option.parse
        read = whole if int in kinds else finite
        return lambda text: self.option.within(read(text))

    def of(self, options: object) -> Any:  # noqa: ANN401 - whatever the field holds
        """Return its value in an instance of the option type."""
        for name in self.place:
            options = getattr(options, name)
        return options


def option_in(hint: Any) -> Option | None:  # noqa: ANN401 - type hints have no common type
    """Return the `Option` of an annotated type, if it has one."""
    notes = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return next((note for note in notes if isinstance(note, Option)), None)


def declared_options(option_type: type) -> tuple[DeclaredOption, ...]:
    """Return every option of a type, in the order of the fields."""
    return _declared_options(option_type)


@functools.cache
def _declared_options(option_type: type) -> tuple[DeclaredOption, ...]:
    hints = _hints(option_type)
    panel = getattr(option_type, "PANEL", None)
    found: list[DeclaredOption] = []
    for field in dataclasses.fields(option_type):
        hint = hints[field.name]
        option = option_in(hint)
        if option is not None:
            option = replace(option, panel=option.panel or panel)
            found.append(DeclaredOption((field.name,), get_args(hint)[0], option, field.default))
        elif isinstance(hint, type) and dataclasses.is_dataclass(hint):
            inner = declared_options(hint)
            found.extend(replace(one, place=(field.name, *one.place)) for one in inner)
    return tuple(found)


def _hints(option_type: type) -> Mapping[str, Any]:
    return get_type_hints(option_type, include_extras=True)


def built(option_type: type[OptionType], values: Mapping[tuple[str, ...], Any]) -> OptionType:
    """Build an option type from the values of its options, keyed by place; others keep their defaults."""
    fields: dict[str, Any] = {place[0]: value for place, value in values.items() if len(place) == 1}
    nested = dict.fromkeys(place[0] for place in values if len(place) > 1)
    hints = _hints(option_type) if nested else {}
    for name in nested:
        inner = {place[1:]: value for place, value in values.items() if place[0] == name}
        fields[name] = built(hints[name], inner)
    return option_type(**fields)


def command_words(options: object, named: Callable[[str], str] = str) -> Iterator[str]:
    """Yield the words of a command line that give `options`: one for each value that is not its default.

    `named` returns the name to write for a file.
    """
    for declared in declared_options(type(options)):
        value, option = declared.of(options), declared.option
        if value is None or value == declared.default:
            continue
        if option.is_argument:
            word = named(option.write(value))
            yield f"./{word}" if word.startswith("-") else word  # else the file would be read as an option
        elif isinstance(value, bool):
            on, _, off = option.names.partition("/")
            yield on if value else off
        else:
            texts = map(option.write, value if get_origin(declared.kind) is tuple else (value,))
            for text in texts:
                yield f"{option.long_name}={named(text) if option.names_file(text) else text}"


def parsed_words(
    option_type: type[OptionType],
    words: Sequence[str],
    where: object,
    located: Callable[[str], str] = str,
) -> OptionType:
    """Build an option type from `command_words`; `ConfigError` for any other word.

    `located` returns the present path of a named file.
    """
    declared = declared_options(option_type)
    arguments = [one for one in declared if one.option.is_argument]
    switches = {
        name: (one, is_on)
        for one in declared
        for name, is_on in zip(one.option.names.split()[-1].split("/"), (True, False), strict=False)
    }
    values: dict[tuple[str, ...], Any] = {}
    for number, word in enumerate(words):
        name, equals, text = word.partition("=")
        if not word.startswith("-") or words[number - 1 : number] == ["--"]:
            if not arguments:
                raise ConfigError(f"{word!r} has no place in a command", where=where)
            one = arguments.pop(0)
            word = located(word)
            values[one.place] = one.option.parse(word) if one.option.parse else word
        elif word == "--":
            continue
        elif name not in switches:
            raise ConfigError(f"{name} is no option of this version", where=where)
        else:
            one, is_on = switches[name]
            text = located(text) if one.option.names_file(text) else text
            _take(values, one, text if equals else is_on)
    return built(option_type, values)


def _take(values: dict[tuple[str, ...], Any], declared: DeclaredOption, given: str | bool) -> None:
    parse, kind = declared.option.parse, declared.kind
    if isinstance(given, bool):
        values[declared.place] = given
        return
    kinds = [one for one in get_args(kind) or (kind,) if isinstance(one, type) and one is not type(None)]
    value = parse(given) if parse else kinds[0](given) if kinds and kinds[0] in (int, float) else given
    if get_origin(kind) is tuple:
        value = (*values.get(declared.place, ()), value if parse else kinds[0](value))
    values[declared.place] = value


def make_exact(options: object) -> None:
    """Convert the fields of a new instance of an option type to their types; called by `__post_init__`.

    So `"blank"` may stand for `OnMissing.BLANK`, `0.05` for a `Fraction`, and text for anything its option
    parses (`"12.5s"` for a position, the path of an alignment); but seconds are never read as milliseconds.
    `ConfigError`: a value cannot be converted.
    """
    for name, kinds, option in _kinds_of_fields(type(options)):  # type: ignore[arg-type]  # a type is hashable
        value = getattr(options, name)
        kind, is_number = kinds[0], kinds[0] in (int, float) and option.parse is None
        if value is None or (isinstance(value, kinds) and not is_number):
            continue
        made: Any
        try:
            if is_number:
                made = option.within(finite(value) if isinstance(value, str) else value)
            elif option.parse is not None and kind is not Fraction:
                made = option.parse(str(value))
            else:
                made = exact(str(value)) if kind is Fraction else kind(value)
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{name}={value!r} cannot be ({error})") from None
        object.__setattr__(options, name, made)


@functools.cache
def _kinds_of_fields(option_type: type) -> tuple[tuple[str, tuple[type, ...], Option], ...]:
    """Return name, types without None, and option of every field with values of simple types."""
    found = []
    for declared in declared_options(option_type):
        kinds = (
            get_args(declared.kind) if get_origin(declared.kind) in (Union, UnionType) else (declared.kind,)
        )
        kinds = tuple(kind for kind in kinds if kind is not type(None))
        is_simple = all(isinstance(kind, type) and kind not in (bool, str) for kind in kinds[:1])
        if len(declared.place) == 1 and is_simple and get_origin(kinds[0]) is None:
            found.append((declared.place[0], kinds, declared.option))
    return tuple(found)


def number_text(number: Fraction) -> str:
    """Return a number in the format of `exact`, as a decimal if that is exact."""
    decimal = f"{float(number):.15g}"
    return decimal if Fraction(decimal) == number else str(number)


def seconds_of_ms(text: str) -> Fraction:
    """Read milliseconds as exact seconds; `ValueError` unless they are a finite number."""
    return exact(text) / 1000


def ms_text(seconds: Fraction) -> str:
    """Return seconds in the format of `seconds_of_ms`."""
    return number_text(seconds * 1000)


def positive_seconds(text: str) -> Fraction:
    """Read seconds; `ValueError` unless they are a finite number, `ConfigError` unless above 0."""
    seconds = exact(text)
    if seconds <= 0:
        raise ConfigError(f"{text} is not a positive number of seconds")
    return seconds
