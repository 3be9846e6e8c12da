"""What importing does: nothing. And what imports what."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from program import new_process

import dmtrack

ROOT = Path(__file__).parents[2]
LIBRARY, PROGRAM = ROOT / "models" / "dmtrack", ROOT / "dmtrack_cli"
FILES = sorted([*LIBRARY.rglob("*.py"), *PROGRAM.rglob("*.py")])


def in_a_new_process(code: str) -> str:
    done = new_process("-W", "error::UserWarning", "-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def module_name(path: Path) -> str:
    base = LIBRARY.parent if path.is_relative_to(LIBRARY) else ROOT
    parts = path.relative_to(base).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("import dmtrack; dir(dmtrack)", id="the-package"),
        pytest.param("import dmtrack_cli.app", id="the-program"),
    ],
)
def test_imports_nothing_heavy(code):
    said = in_a_new_process(
        f"{code}; import sys; print({{'torch', 'cv2', 'av', 'numpy'}} & set(sys.modules))"
    )
    assert said == "set()\n"


def test_reading_tracking_and_writing_do_without_torch():
    modules = [
        module_name(path)
        for folder in ("video", "geometry", "output", "datasets", "boxes", "drawing", "tracking", "run")
        for path in sorted((LIBRARY / folder).rglob("*.py"))
    ]
    imports = "; ".join(f"import {name}" for name in modules)
    assert in_a_new_process(f"{imports}; import sys; print('torch' in sys.modules)") == "False\n"


def test_a_sheet_of_samples_does_without_torch(tmp_path):
    """Its loading and unloading kept a person waiting who only wanted to look, or to stop."""
    said = in_a_new_process(
        "import sys; from dmtrack_cli.app import _run; "
        f"words = ['synthetic', '-o', {str(tmp_path / 's.png')!r}, '--modality', 'thermal', '--count', '1']; "
        "print(_run(words), 'torch' in sys.modules)"
    )
    assert said.splitlines()[-1] == "0 False"


def test_tracking_does_without_what_only_training_and_pictures_need():
    """Each of these costs up to seconds before the first box; one tells others that it was imported."""
    said = in_a_new_process(
        "import dmtrack_cli.commands.track, dmtrack.run.session, dmtrack.run.pipeline, sys\n"
        "dmtrack.run.pipeline.load_tracker('tiny', 'thermal', device='cpu', precision='fp32')\n"
        "dmtrack.network.openvino_network.openvino_module()\n"
        "unneeded = {'torchvision', 'timm', 'matplotlib', 'scipy', 'selenium', 'sympy'}\n"
        "print({name for name in unneeded | {'openvino_telemetry'} if sys.modules.get(name)})"
    )
    assert said == "set()\n"


def test_opencv_is_loaded_before_pyav_where_a_window_may_open():
    """Both bring an X library, and OpenCV's hangs in its first window if PyAV's was there before."""
    code = "import dmtrack_cli.commands.track, sys; print([n for n in sys.modules if n in ('av', 'cv2')])"
    assert in_a_new_process(code) == "['cv2', 'av']\n"


def test_importing_everything_changes_nothing():
    """No output, no warning, no random numbers drawn, no thread count or default type set."""
    names = [module_name(path) for path in FILES if path.name != "__main__.py"]
    said = in_a_new_process(
        "import logging, random, signal, numpy, torch, cv2, typer.core, rich.progress, rich.style\n"
        "def state():\n"
        "    return (random.getstate(), numpy.random.get_state()[1].tobytes(), torch.get_num_threads(),\n"
        "            torch.random.get_rng_state().tolist(), torch.get_default_dtype(), cv2.getNumThreads(),\n"
        "            torch.is_grad_enabled(), logging.getLogger().handlers[:], torch.cuda.is_initialized(),\n"
        "            torch.get_float32_matmul_precision(), signal.getsignal(signal.SIGINT))\n"
        "before = state()\n"
        "import importlib\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
        "assert state() == before\n"
    )
    assert said == ""


def test_everything_is_imported_where_the_system_lacks_what_others_have():
    """Windows has none of these modules and signals; neither it nor macOS says which cores may be used."""
    names = [module_name(path) for path in FILES if path.name != "__main__.py"]
    said = in_a_new_process(
        "import torch, timm, cv2, av, typer.core, rich.progress, matplotlib.figure\n"
        "import signal, os, builtins, importlib\n"
        "lacking = {'fcntl', 'resource', 'termios', 'pwd', 'grp', 'pty', 'tty', 'curses', 'readline'}\n"
        "found = builtins.__import__\n"
        "def missing(name, known=None, *more):\n"
        "    if name in lacking and (known or {}).get('__name__', '').startswith('dmtrack'):\n"
        "        raise ModuleNotFoundError(name)\n"
        "    return found(name, known, *more)\n"
        "builtins.__import__ = missing\n"
        "del os.sched_getaffinity, os.wait4, os.O_NOFOLLOW, os.O_NONBLOCK, signal.SIGHUP, signal.SIGPIPE\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
        "from dmtrack import atomic, threads\n"
        "print(atomic.CAN_LOCK, threads.usable_cores() > 0)\n"
    )
    assert said == "False True\n"


def test_text_files_say_their_encoding():
    """Else Windows reads and writes them in that of its country."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            modes = [one.value for one in node.args if isinstance(one, ast.Constant)]
            of_ours = not (isinstance(node.func.value, ast.Name) and node.func.value.id == "av")
            is_text = of_ours and node.func.attr == "open" and {*modes} & {"r", "w", "x", "a", "r+"}
            if is_text or (node.func.attr in ("read_text", "write_text") and len(modes) == len(node.args)):
                assert any(word.arg == "encoding" for word in node.keywords), f"{path}, line {node.lineno}"


def test_nobody_imports_the_source_root_or_a_private_click():
    for path in FILES:
        for name in imported_names(path):
            assert name.split(".")[0] not in ("models", "click"), f"{path.name} imports {name}"
            assert not name.startswith("typer._click"), f"{path.name} imports {name}"


def test_the_library_knows_no_terminal():
    for path in FILES:
        if path.is_relative_to(LIBRARY):
            assert not {"typer", "rich", "dmtrack_cli"} & {
                name.split(".")[0] for name in imported_names(path)
            }


@pytest.mark.parametrize("name", dmtrack.__all__)
def test_public_names_are_there(name):
    assert name in dir(dmtrack)
    value = getattr(dmtrack, name)
    assert value.__name__ == name
    assert value.__doc__


def test_type_checkers_see_the_same_public_names():
    tree = ast.parse((LIBRARY / "__init__.py").read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    declared = {
        alias.name: node.module
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert sorted(declared) == sorted(dmtrack.__all__)
    for name, module in declared.items():
        assert getattr(importlib.import_module(str(module)), name) is getattr(dmtrack, name)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'tarck'"):
        dmtrack.tarck  # noqa: B018


@pytest.mark.parametrize("path", FILES, ids=lambda path: module_name(path))
def test_every_module_says_what_it_is(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
