"""Improved Typer commands: readable values in the help, and hints for options of other tools.

Typer shows Python types (`<list[Path]>`, `<bool>` for a switch) and breaks choices within words in a narrow
column. And for an unknown option such as `--gpu`, `OTHER_NAMES` gives our name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

_WIDEST: Final = 17  # columns for values in the narrowest table of an 80-column terminal
_FILES: Final = "name files and folders without an option"

OTHER_NAMES: Final = {
    "--device cuda": "gpu gpu-id gpu-ids gpus cuda use-gpu use-cuda",
    "--device cpu": "cpu no-cuda no-gpu",
    "-o": (
        "save save-dir save-path save-video save-txt save-results output-dir output-path outdir out- "
        "dir out outpath output-folder output-file result-dir results-dir results project dest "
        "destination name exp-name"
    ),
    "--weights": (
        "weights-path weight model model-path checkpoint checkpoint-path ckpt ckpt-path pretrained "
        "resume-from tracker tracker-name load"
    ),
    "--init": "weights pretrained checkpoint resume-from foundation",
    "--folder-rate": "fps rate frame-rate framerate",
    "--rate": "fps frame-rate framerate",
    "--box": "bbox init-box init-bbox init-rect roi rect optional-box target xywh",
    "--box-file": "gt gt-file ground-truth groundtruth init-file anno annotations boxes",
    "--boxes": "gt ground-truth groundtruth box box-file bbox annotations results",
    "--dataset": "data gt ground-truth groundtruth data-root dataset-path dataset-name",
    "--data": "dataset data-dir data-path data-root train-data",
    "--no-video": "nosave no-save save-none",
    "--show": "view view-img display visualize visualise vis vis-track debug",
    "--overwrite": "force exist-ok yes clobber replace",
    "--precision fp16": "half fp16 amp",
    "--precision bf16": "bf16",
    "--precision int8": "int8 quantize quantized",
    "--start": "begin from-frame start-frame first-frame skip seek ss",
    "--end": "stop to end-frame last-frame max-frames num-frames duration frames",
    "--threads": "num-threads cpu-threads nthreads",
    "--workers": "num-workers nworkers jobs",
    "--jobs": "num-workers workers nproc num-jobs processes parallel",
    "--learning-rate": "lr lr0 base-lr",
    "--steps": "epochs iterations iters max-steps num-steps",
    "--batch-size": "batch bs",
    "--modality": "sensor type aux-type thermal depth event",
    "--offset-ms": "offset time-offset delay shift",
    "--max-skew-ms": "skew max-skew max-time-diff slop",
    "--align": "homography calibration calib extrinsics registration",
    "--quiet": "silent no-progress",
    "--format": "to target-format output-format type",
    "--recovery on, which declares targets lost when their score stays low": (
        "conf conf-thres conf-threshold confidence threshold score-threshold redetect"
    ),
    _FILES: (
        "source input inputs video video-path path file rgb rgb-path aux aux-path ir infrared image- "
        "dir images folder dir sequence seq root videofile"
    ),
}
"""Other tools' names of our options; the hint gives the first of our options that the command has."""


def put_right(command: Any) -> None:  # noqa: ANN401 - the type of Typer's own click is private
    """Set how the values of a command's options, and of its sub-commands', are shown in the help."""
    for below in getattr(command, "commands", {}).values():
        put_right(below)
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            parameter.display_type_rich = lambda ctx: None  # its name says it
        elif parameter.metavar is None or "|" in parameter.metavar:
            parameter.metavar = _shown(parameter)


def _shown(option: Any) -> str:  # noqa: ANN401
    """Return the text for a value: empty for a switch, choices in lines of whole words."""
    if option.is_flag or getattr(option, "count", False):
        return ""
    described = getattr(option, "type_descriptor", None)
    choices = (option.metavar or "").strip("[]").split("|")
    if option.metavar is None:
        choices = [
            str(getattr(choice, "value", choice)) for choice in getattr(described, "choices", None) or ()
        ]
    if not choices:
        return "FILE" if getattr(described, "is_path", False) else "TEXT"
    lines = [""]
    for word in (*(f"{choice}|" for choice in choices[:-1]), choices[-1]):
        if lines[-1] and len(lines[-1]) + len(word) > _WIDEST:
            lines.append("")
        lines[-1] += word
    return "\n".join(lines)


def _with_plain_switches(parameters: list[Any]) -> list[Any]:
    """Remove the type of options without a value, among them `--help`, which Typer adds."""
    for parameter in parameters:
        is_switch = getattr(parameter, "is_flag", False) or getattr(parameter, "count", False)
        if parameter.metavar is None and is_switch:
            parameter.metavar = ""
    return parameters


class Group(TyperGroup):
    """A command with sub-commands."""

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401
        """Return the parameters."""
        return _with_plain_switches(super().get_params(ctx))


class Command(TyperCommand):
    """A command that knows other tools' names of its options."""

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401
        """Return the parameters."""
        return _with_plain_switches(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401
        """Parse the words, and name our option if another tool's is given."""
        _refuse_empty(args, ctx)
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            hint = _hint(getattr(error, "option_name", None), self.params)
            if hint is not None:
                error.message = f"No such option: {error.option_name}; {hint}."  # type: ignore[attr-defined]
                error.possibilities = None  # type: ignore[attr-defined]
            raise


def _refuse_empty(words: Sequence[str], ctx: Any) -> None:  # noqa: ANN401
    """Refuse an empty or blank word: as a path it would be the current folder."""
    for before, word in zip(("", *words), words, strict=False):
        name, equals, value = word.partition("=") if word.startswith("-") else ("", "=", word)
        if equals and not value.strip():
            option = name or (before.partition("=")[0] if before.startswith("-") else "an argument")
            what = "it is empty; is a variable of the shell not set?"
            raise typer.BadParameter(what, ctx=ctx, param_hint=option)


def _hint(wrong: str | None, parameters: Sequence[Any]) -> str | None:
    if wrong is None:
        return None
    known = {name for parameter in parameters for name in parameter.opts}
    word = wrong.lstrip("-").replace("_", "-").lower()
    for ours in _ours(word):
        if ours.split()[0] in known:
            return f"here it is {ours}"
        if ours == _FILES:
            names = [
                parameter.metavar or "" for parameter in parameters if parameter.param_type_name == "argument"
            ]
            return f"{_FILES}: {' '.join(names)}" if names else None
    return None


def _ours(word: str) -> Iterator[str]:
    yield f"--{word}"
    yield from (ours for ours, others in OTHER_NAMES.items() if word in others.split())
