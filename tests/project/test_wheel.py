"""What an installation gets: both packages, types, the program, and the weights in the box."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[2]
LARGEST_WEIGHTS_BYTES = 25_000_000


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    (path,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    return zipfile.ZipFile(path)


def test_two_packages_and_nothing_else(wheel):
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"dmtrack", "dmtrack_cli"}
    assert not [name for name in wheel.namelist() if "__pycache__" in name]


def test_every_module_is_in_it(wheel):
    modules = {
        *(
            f"dmtrack/{p.relative_to(ROOT / 'models/dmtrack')}"
            for p in (ROOT / "models/dmtrack").rglob("*.py")
        ),
        *(f"dmtrack_cli/{p.relative_to(ROOT / 'dmtrack_cli')}" for p in (ROOT / "dmtrack_cli").rglob("*.py")),
        "dmtrack/py.typed",
        "dmtrack_cli/py.typed",
        "dmtrack_cli/review/page/index.html",
    }
    assert modules <= set(wheel.namelist())


def test_the_program_is_registered(wheel):
    (name,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert "dmtrack = dmtrack_cli.__main__:main" in wheel.read(name).decode()


def test_weights_for_every_kind_of_input_are_in_it(wheel):
    files = [item for item in wheel.infolist() if item.filename.startswith("dmtrack/weights/tiny-")]
    names = " ".join(item.filename for item in files)
    for kind in ("foundation", "thermal", "depth", "event"):
        assert kind in names
    assert sum(item.file_size for item in files) <= LARGEST_WEIGHTS_BYTES


def test_the_licence_is_in_it(wheel):
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())
