"""What MkDocs asks for: the command reference, help of options, and pages that lie elsewhere here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from griffe import Attribute, Docstring, Extension
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from typer.testing import CliRunner

from dmtrack_cli.app import COMMANDS, app, load_command

MARK = "<!-- commands -->"
_TERMINAL = {"COLUMNS": "100", "TERMINAL_WIDTH": "100", "NO_COLOR": "1", "_TYPER_FORCE_DISABLE_TERMINAL": "1"}


ROOT = Path(__file__).parents[1]
ELSEWHERE = {
    "benchmarks.md": "benchmarks/README.md",
    "model-card.md": "models/dmtrack/weights/README.md",
    "contributing.md": "CONTRIBUTING.md",
}


class OptionHelp(Extension):
    """Gives fields of option types the words of their `Option` in the reference of the library."""

    def on_attribute_instance(self, *, node: object, attr: Attribute, **_: object) -> None:
        """Take the help from the annotation, unless the field says more itself."""
        for call in ast.walk(node.annotation) if isinstance(node, ast.AnnAssign) else ():
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "Option" and attr.docstring is None:
                said = [part.value for part in ast.walk(call.args[1]) if isinstance(part, ast.Constant)]
                attr.docstring = Docstring("".join(map(str, said)), parent=attr)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are read where they lie, too."""
    for page, path in ELSEWHERE.items():
        text = (ROOT / path).read_text(encoding="utf-8").replace("](docs/", "](")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Put the reference where the page asks for it, and let links lead to the pages of the site."""
    for page, path in ELSEWHERE.items():
        markdown = markdown.replace(f"](../{path})", f"]({page})")
    return markdown.replace(MARK, "\n".join(command_reference())) if MARK in markdown else markdown


def command_reference() -> Iterator[str]:
    """Yield the lines of the reference: a heading a command and its `--help`."""
    for name in COMMANDS:
        yield from _help("##", [name])
        for below in getattr(load_command(name), "commands", {}):
            yield from _help("###", [name, below])


def _help(heading: str, words: list[str]) -> Iterator[str]:
    said = CliRunner().invoke(app, [*words, "--help"], prog_name="dmtrack", env=_TERMINAL)
    if said.exit_code:
        raise RuntimeError(f"dmtrack {' '.join(words)} --help failed: {said.output}")
    yield from ("", f"{heading} dmtrack {' '.join(words)}", "", "```text", said.output.strip("\n"), "```")
