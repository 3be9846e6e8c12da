"""The drawing page in a real browser: a headless Chromium drags boxes, submits, and tracking starts."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dmtrack.boxes.reading import read_rows

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # of the driver's own sockets
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture
def program(recording: Any, weights: Path) -> Iterator[subprocess.Popen[str]]:
    words = ["track", recording.rgb, recording.thermal, "--weights", weights, "-o", "out", "--no-video"]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "dmtrack_cli",
            *map(str, words),
            "--box",
            "--start",
            "5",
            "--pick-timeout",
            "60",
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


class Page:
    """The page as a person sees it."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def part(self, name: str) -> Any:
        return self.driver.find_element("id", name)

    def wait_for(self, name: str, text: str) -> None:
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, 20).until(lambda _: text in self.part(name).text)

    def drag(self, stream: str, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Drag on the picture of a stream, in pixels of the frame (96 x 64)."""
        from selenium.webdriver.common.action_chains import ActionChains

        canvas = self.part(stream)
        rect = self.driver.execute_script(
            "const r = arguments[0].getBoundingClientRect(); return [r.left, r.top, r.width, r.height];",
            canvas,
        )
        scale = min(rect[2] / 96, rect[3] / 64)
        left, top = rect[0] + (rect[2] - 96 * scale) / 2, rect[1] + (rect[3] - 64 * scale) / 2
        places = [(round(left + x * scale), round(top + y * scale)) for x, y in (start, end)]
        chain = ActionChains(self.driver, duration=20)
        chain.w3c_actions.pointer_action.move_to_location(*places[0]).pointer_down()
        chain.w3c_actions.pointer_action.move_to_location(*places[1]).pointer_up()
        chain.perform()

    def press(self, key: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(key).perform()

    @property
    def boxes(self) -> list[str]:
        return [item.text for item in self.driver.find_elements("css selector", "#boxes li")]


def address(program: subprocess.Popen[str]) -> str:
    assert program.stderr is not None
    for line in program.stderr:
        found = re.search(r"http://\S+", line)
        if found:
            return found[0]
    raise AssertionError("no address was said")


def test_draw_slide_undo_and_submit(program: subprocess.Popen[str], browser: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.get(address(program))
    page = Page(browser)
    page.wait_for("clock", "frame 5")
    assert not page.part("submit").is_enabled()
    page.drag("rgb", (25, 16), (41, 32))
    page.drag("aux", (60, 50), (50, 40))  # from corner to corner the other way, on the second stream
    page.drag("rgb", (5, 5), (15, 15))
    assert len(page.boxes) == 3
    page.press("u")
    assert [item.partition(":")[0] for item in page.boxes] == ["1", "2"]
    page.press(Keys.ARROW_LEFT)
    page.wait_for("clock", "frame 4")
    browser.execute_script(
        "const s = document.getElementById('slider'); s.value = 3; s.dispatchEvent(new Event('input'));"
    )
    page.wait_for("clock", "frame 3")
    page.drag("rgb", (70, 20), (110, 40))  # ends beyond the edge of the picture
    assert page.boxes[-1].endswith("from frame 3")
    assert page.part("submit").text == "Track 3 targets"
    page.part("submit").click()
    page.wait_for("end", "Tracking has begun")
    _, err = program.communicate(timeout=60)
    assert program.returncode == 0, err
    rows = read_rows(Path("out/boxes.txt"))
    assert rows[0].frame_index == 3, "another start than --start was chosen"
    starts = {row.target_id: row for row in reversed(rows)}
    assert {number: row.frame_index for number, row in starts.items()} == {1: 5, 2: 5, 3: 3}
    for number, box in {1: (25, 16, 16, 16), 2: (50, 40, 10, 10), 3: (70, 20, 26, 20)}.items():
        assert starts[number].box.xywh == pytest.approx(box, abs=0.6)
    said = [entry for entry in browser.get_log("browser") if "favicon" not in entry["message"]]
    assert said == [], "no script error, nothing that the page's own policy forbids"


def test_enter_without_a_box_and_cancel(program: subprocess.Popen[str], browser: Any) -> None:
    browser.get(address(program))
    page = Page(browser)
    page.wait_for("clock", "frame 5")
    page.press("\ue007")
    page.wait_for("message", "no box yet")
    page.part("cancel").click()
    page.wait_for("end", "Cancelled")
    _, err = program.communicate(timeout=60)
    assert program.returncode == 130
    assert "nothing was tracked" in err
