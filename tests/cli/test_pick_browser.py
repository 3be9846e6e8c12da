"""The page in a real browser: a headless Chromium draws, drags corners, presses keys, and is killed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from clips import square_clip, wait_until

from dmtrack.boxes.keyframes import read_keyframes
from dmtrack.boxes.reading import read_rows
from dmtrack.tracking.start import TargetStart

pytestmark = [
    pytest.mark.slow,
    pytest.mark.alone,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # of the driver's own sockets
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def started(*words: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "dmtrack_cli", *map(str, words)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def program(recording, weights) -> Iterator[subprocess.Popen[str]]:
    words = ["track", recording.rgb, recording.thermal, "--weights", weights, "-o", "out", "--no-video"]
    process = started(*words, "--box", "--start", "5", "--pick-timeout", "60")
    yield process
    process.kill()
    process.communicate()


class Page:
    """The page as a person sees it."""

    def __init__(self, driver: Any, server: subprocess.Popen[str]) -> None:
        self.driver, self.server = driver, server
        driver.get(address(server))

    def part(self, name: str) -> Any:
        return self.driver.find_element("id", name)

    def wait_for(self, name: str, text: str) -> None:
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, 240).until(lambda _: text in self.part(name).text)

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

    def press(self, *keys: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def go_to(self, frame: int) -> None:
        script = "const s = document.getElementById('slider'); s.value = arguments[0];"
        self.driver.execute_script(f"{script} s.dispatchEvent(new Event('input'));", frame)
        self.wait_for("clock", f"frame {frame} ")

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


def test_draw_slide_undo_and_submit(program, browser):
    from selenium.webdriver.common.keys import Keys

    page = Page(browser, program)
    page.wait_for("clock", "frame 5")
    assert not page.part("submit").is_enabled()
    page.drag("rgb", (25, 16), (41, 32))
    page.drag("aux", (60, 50), (50, 40))  # from corner to corner the other way, on the second stream
    page.drag("rgb", (5, 5), (15, 15))
    assert len(page.boxes) == 3
    browser.refresh()  # what was drawn is still there
    page.wait_for("clock", "frame 5")
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
    browser.execute_script("for (const _ of [1, 2]) arguments[0].click()", page.part("submit"))
    page.wait_for("end", "Tracking has begun")
    _, err = program.communicate(timeout=60)
    assert program.returncode == 0, err
    rows = read_rows(Path("out/boxes.txt"))
    assert rows[0].frame_index == 3, "another start than --start was chosen"
    starts = {row.target_id: row for row in reversed(rows)}
    assert {number: row.frame_index for number, row in starts.items()} == {1: 5, 2: 5, 3: 3}
    for number, box in {1: (25, 16, 16, 16), 2: (50, 40, 10, 10), 3: (70, 20, 26, 20)}.items():
        assert starts[number].box.xywh == pytest.approx(box, abs=0.6)
    said = [entry for entry in browser.get_log("browser") if entry["source"] != "network"]
    assert said == [], "no script error, nothing that the page's own policy forbids"


def test_enter_without_a_box_and_cancel(program, browser):
    page = Page(browser, program)
    page.wait_for("clock", "frame 5")
    browser.set_window_size(500, 650)  # two pictures, one above the other, as on a phone
    bottom = browser.execute_script("return arguments[0].getBoundingClientRect().bottom", page.part("submit"))
    assert bottom < browser.execute_script("return innerHeight"), "what is needed most is in sight"
    page.press("\ue007")
    page.wait_for("message", "no box yet")
    edges = "const r = arguments[0].getBoundingClientRect(); return [r.top, r.bottom]"
    said, action = (browser.execute_script(edges, page.part(name)) for name in ("message", "actions"))
    assert 0 < said[1] <= action[0] + 1, "what is said is in sight, above the buttons"
    page.part("cancel").click()
    page.wait_for("end", "Cancelled")
    _, err = program.communicate(timeout=60)
    assert program.returncode == 130
    assert "nothing was tracked" in err


def test_a_step_back_leads_over_frames_that_are_missing(tmp_path, weights, browser):
    folder = square_clip(tmp_path / "clip") / "img"
    for path in sorted(folder.iterdir())[4:6]:
        path.write_bytes(b"")
    server = started("track", folder, "--weights", weights, "--box", "--start", "6", "-o", "out")
    try:
        page = Page(browser, server)
        page.wait_for("clock", "frame 6 ")
        page.press("\ue012")  # left arrow
        page.wait_for("clock", "frame 3 ")
    finally:
        server.kill()
        server.communicate()


@pytest.fixture
def results(track) -> Path:
    assert track("--box", "20,16,16,16", "--no-video").code == 0
    return Path("out")


def kept(folder: Path) -> list[tuple[int, str, tuple[float, ...]]]:
    return [
        (key.frame_index or 0, type(key).__name__, key.box.xywh if isinstance(key, TargetStart) else ())
        for key in read_keyframes(folder / "keyframes.csv")
    ]


@contextmanager
def reviewed(browser: Any, folder: Path, *words: str) -> Iterator[Page]:
    """Serve the review of results for a while, and look at its page."""
    server = started("review", folder, "--no-open", *words)
    try:
        page = Page(browser, server)
        page.wait_for("progress", "up to date")
        yield page
    finally:
        server.kill()
        server.communicate()


def test_a_wrong_track_is_put_right(results, browser, run_cli):
    shutil.copytree(results, "by-files")
    with reviewed(browser, results) as page:
        page.wait_for("clock", "frame 0")
        page.press("n")
        page.wait_for("message", "target 1: ")
        page.go_to(6)
        page.drag("aux", (60, 40), (76, 56))
        wait_until(lambda: len(kept(results)) == 2)
        page.wait_for("boxes", "given")
        page.drag("rgb", (76, 56), (80, 60))  # a corner of it
        wait_until(lambda: kept(results)[1][2][2] > 18)
        assert kept(results)[1][2] == pytest.approx((60, 40, 20, 20), abs=0.6)
        page.drag("rgb", (70, 50), (65, 45))  # the whole of it
        wait_until(lambda: kept(results)[1][2][0] < 57)
        page.press("u")
        wait_until(lambda: kept(results)[1][2][0] > 59)
        page.go_to(9)
        page.press("m")
        wait_until(lambda: len(kept(results)) == 3)
        before = (results / "keyframes.csv").read_bytes()
    page.press("u")
    page.wait_for("message", "dmtrack was stopped")
    assert (results / "keyframes.csv").read_bytes() == before
    assert [what for _, what, _ in kept(results)] == ["TargetStart", "TargetStart", "Absence"]
    with reviewed(browser, results) as page:
        page.go_to(10)
        assert page.boxes == ["1: absent"]
        page.part("finish").click()
        page.wait_for("end", "Everything is kept")
        _, err = page.server.communicate(timeout=60)
        assert page.server.returncode == 0, err
    shutil.copy(results / "keyframes.csv", "by-files")
    assert run_cli("track", "--continue", "by-files", "--no-video").code == 0
    assert (results / "boxes.txt").read_bytes() == Path("by-files/boxes.txt").read_bytes()
    said = [entry for entry in browser.get_log("browser") if entry["source"] != "network"]
    assert said == [], "no script error; the network says that the server was killed"


def test_both_streams_in_one_picture_and_how_far_apart_they_are(results, browser):
    pixel = (
        "const canvas = document.getElementById(arguments[0]);"
        "return [...canvas.getContext('2d').getImageData(...arguments[1], 1, 1).data]"
    )
    with reviewed(browser, results) as page:
        page.wait_for("clock", "frame 0")
        first, second = (browser.execute_script(pixel, name, [3, 3]) for name in ("rgb", "aux"))
        page.press("v")
        assert not page.part("aux").is_displayed()
        assert page.part("view").text == "Side by side"
        blended = browser.execute_script(pixel, "rgb", [3, 3])
        for one, two, both in zip(first, second, blended, strict=True):
            assert both == pytest.approx((one + two) / 2, abs=4)
        assert first[:3] != second[:3], "else nothing is shown by this"
        page.go_to(4)
        page.drag("rgb", (60, 40), (76, 56))
        wait_until(lambda: len(kept(results)) == 2)
        assert kept(results)[1][2] == pytest.approx((60, 40, 16, 16), abs=0.6)
        page.part("view").click()
        assert page.part("aux").is_displayed()
        assert page.part("timeline").size["height"] == 30 + 24, "a row a target, and one of the skew"
        size = browser.execute_script(
            "const c = arguments[0]; return [c.width, c.height]", page.part("timeline")
        )
        assert browser.execute_script(pixel, "timeline", [size[0] // 2, size[1] - 2])[3] > 0
    said = [entry for entry in browser.get_log("browser") if entry["source"] not in ("network", "rendering")]
    assert said == []


def test_a_box_of_the_detector_is_taken(results, browser):
    boxes = {5: ("25,17,15,15,0.9", "70,40,12,10,0.6"), 1: ("86,56,6,6,0.6",)}
    rows = [f"{number},-1,{box},-1,-1,-1" for number, here in boxes.items() for box in here]
    Path("det.txt").write_text("\n".join(rows) + "\n")
    with reviewed(browser, results, "--detections", "det.txt") as page:
        page.press("d")
        page.wait_for("message", "is near the target")
        page.go_to(4)
        page.drag("rgb", (60, 50), (66, 56))
        wait_until(lambda: len(kept(results)) == 2)
        page.drag("rgb", (63, 53), (27, 23))
        page.wait_for("boxes", "1: 24,20,6,6 given")
        page.press("d")
        page.wait_for("message", "takes the box of the detector (0.90)")
        assert kept(results)[1:] == [(4, "TargetStart", (25, 17, 15, 15))]
        page.press("a")
        page.drag("aux", (75, 45), (75, 45))
        wait_until(lambda: len(kept(results)) == 3)
        assert (4, "TargetStart", (70, 40, 12, 10)) in kept(results)
        assert len({key.target_id for key in read_keyframes(results / "keyframes.csv")}) == 2
        page.go_to(5)
        page.press("d")
        page.wait_for("message", "saw nothing in this frame")


def pinched(driver: Any, canvas: Any, apart: tuple[int, int]) -> None:
    """Put two fingers on a picture and move them from so many pixels apart to so many."""
    from selenium.webdriver.common.actions import interaction
    from selenium.webdriver.common.actions.action_builder import ActionBuilder
    from selenium.webdriver.common.actions.pointer_input import PointerInput

    rect = canvas.rect
    x, y = round(rect["x"] + rect["width"] / 2), round(rect["y"] + rect["height"] / 2)
    fingers = [PointerInput(interaction.POINTER_TOUCH, name) for name in ("one", "two")]
    actions = ActionBuilder(driver, mouse=fingers[0])
    actions.devices.append(fingers[1])
    for side, finger in zip((-1, 1), fingers, strict=True):
        finger.create_pointer_move(duration=0, x=x + side * apart[0] // 2, y=y)
        finger.create_pointer_down(button=0)
        finger.create_pointer_move(duration=100, x=x + side * apart[1] // 2, y=y)
        finger.create_pointer_up(button=0)
    actions.perform()


COLOURED = """
const [r, g, b] = JSON.parse(document.getElementById("setup").textContent).colours[arguments[0] - 1];
const canvas = document.getElementById("rgb");
const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
let count = 0;
for (let at = 0; at < data.length; at += 4) {
  count += data[at] === r && data[at + 1] === g && data[at + 2] === b;
}
return count;
"""


def test_keyboard_touch_and_labels(results, browser):
    from selenium.webdriver.common.keys import Keys

    with reviewed(browser, results) as page:
        page.go_to(3)
        page.part("number").send_keys(Keys.BACKSPACE, "7", Keys.ENTER)
        page.wait_for("clock", "frame 7 ")
        page.press(Keys.ARROW_RIGHT)
        page.wait_for("clock", "frame 8 ")
        browser.execute_script("document.getElementById('both').focus()")
        page.press(" ")
        assert not page.part("both").is_selected()
        assert page.part("play").text == "Play"
        page.press("a")
        page.drag("rgb", (28, 16), (44, 32))  # where target 1 is as well
        wait_until(lambda: len(kept(results)) == 2)
        page.wait_for("boxes", "2: 28,16,16,16 given")
        areas = [browser.execute_script(COLOURED, number) for number in (1, 2)]
        assert min(areas) > 150, "no label lies under another one"
        for width in (1200, 900):
            browser.set_window_size(width, 900)
            bottom = browser.execute_script(
                "return arguments[0].getBoundingClientRect().bottom", page.part("undo")
            )
            assert bottom < browser.execute_script("return innerHeight"), "what is needed most is in sight"
        browser.execute_script("document.querySelector('#boxes button').focus()")
        page.press(Keys.ENTER)
        chosen = browser.find_element("css selector", "#boxes li.selected")
        assert chosen.text.startswith("1:")
        assert browser.switch_to.active_element.text == chosen.text, "the list was filled anew meanwhile"
        pinched(browser, page.part("rgb"), (60, 240))
        assert browser.execute_script(COLOURED, 2) != areas[1], "it is larger"
        assert len(kept(results)) == 2, "two fingers draw nothing"
        assert page.part("remove").get_attribute("title")
    said = [entry for entry in browser.get_log("browser") if entry["source"] not in ("network", "rendering")]
    assert said == []


def test_targets_are_added_split_joined_and_taken_away(results, browser):
    def ids() -> list[int]:
        return sorted({key.target_id for key in read_keyframes(results / "keyframes.csv")})

    with reviewed(browser, results) as page:
        page.press("a")
        page.drag("rgb", (60, 40), (76, 56))
        wait_until(lambda: ids() == [1, 2])
        page.go_to(4)
        wait_until(lambda: "no box" not in page.part("boxes").text)
        page.press("\ue007")  # Enter: the box shown is right
        wait_until(lambda: len(read_keyframes(results / "keyframes.csv")) == 3)
        page.part("split").click()
        wait_until(lambda: ids() == [1, 2, 3])
        assert not re.search(r"\.\d{3}", (results / "keyframes.csv").read_text()), "no digits of a float32"
        page.part("newid").send_keys("1")
        page.part("rename").click()
        wait_until(lambda: ids() == [1, 2])
        page.part("remove").click()
        wait_until(lambda: len(ids()) == 1)
        page.driver.refresh()
        page.wait_for("boxes", f"{ids()[0]}:")
        page.part("remove").click()
        wait_until(lambda: (results / "boxes.txt").read_text() == "")


def test_what_is_refused_leaves_the_target_selected(results, browser):
    from selenium.webdriver.common.keys import Keys

    with reviewed(browser, results) as page:
        chosen = page.boxes
        for words, said in {
            "1.5": "whole number",
            "0": "whole number",
            "1": "",
            "9e99": "whole number",
        }.items():
            page.part("newid").clear()
            page.part("newid").send_keys(words, Keys.ENTER)
            page.wait_for("message", said)
        page.part("split").click()  # where it begins, there is nothing before it
        page.wait_for("message", "target 1")
        selected = browser.find_elements("css selector", "#boxes li.selected")
        assert [item.text for item in selected] == chosen
        page.go_to(5)
        page.part("number").clear()
        page.part("number").send_keys(Keys.ENTER)
        page.press(Keys.ARROW_RIGHT)
        page.wait_for("clock", "frame 6 ")  # from where it was: an empty number is none
        page.press("a")
        page.wait_for("message", "draw the new target")
        page.press(Keys.ESCAPE)
        assert page.part("message").text == ""
    assert len(kept(results)) == 1


def test_the_page_holds_no_more_pixels_than_a_browser_can(results, browser):
    """Frames of 4K in both streams, 48 of each, took 3.7 GB."""
    held = "return import('./store.js').then((store) => store.framesKept(...arguments))"
    with reviewed(browser, results):
        for size, most in {(96, 64): 48, (1920, 1080): 24, (3840, 2160): 6, (30000, 20000): 4}.items():
            assert browser.execute_script(held, *size, 2) == most
