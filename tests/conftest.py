"""What holds for every test."""

from __future__ import annotations

import importlib.util
import logging
import os
import resource
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import ModuleType

import pytest

# Before torch is loaded, here and in every program that a test starts: the networks of tests are small, and
# threads that wait for each other are many times slower than one where something else runs.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def _loaded(path: Path) -> ModuleType:
    """Return a program as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def live_sender() -> ModuleType:
    """The sender of live video, which is a program as well."""
    return _loaded(Path(__file__).with_name("live_sender.py"))


@pytest.fixture(scope="session")
def script() -> Callable[[Path], ModuleType]:
    """Return what loads a program as a module."""
    return _loaded


@pytest.fixture(scope="session")
def benchmark_script() -> Callable[[str], ModuleType]:
    """Return what loads a script of `benchmarks/`."""
    return lambda name: _loaded(Path(__file__).parents[1] / "benchmarks" / f"{name}.py")


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call() -> Generator[None, object, object]:
    """Lift a limit on file sizes as soon as the test that set it is over.

    pytest writes the test's dot before it tears fixtures down; where its output is a file, that dot
    would meet the limit.
    """
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        return (yield)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.fixture(autouse=True)
def untouched_loggers() -> Iterator[None]:
    """Undo what the program does to the library's loggers: other tests listen to them.

    They are reset, not restored: a fixture of wider scope may have run the program before this one began.
    """
    yield
    for name in ("dmtrack", "dmtrack.output.sink"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(logging.NOTSET)
        logger.propagate = True
