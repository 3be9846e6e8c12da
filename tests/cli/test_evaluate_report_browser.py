"""The report in a real browser: it shows its pictures, sorts, filters and says nothing to the console."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.alone,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # of the driver's own sockets
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def test_the_sequences_sort_and_filter(browser, tmp_path, run_cli):
    for number in range(3):
        truth = np.tile([20.0, 12.0, 16.0, 20.0], (20, 1))
        for folder, shift in (("gt", 0), ("results", (2 * number + 1) % 5)):
            (tmp_path / folder).mkdir(exist_ok=True)
            np.savetxt(tmp_path / folder / f"s{number}.txt", truth + (shift, 0, 0, 0), delimiter=",")
    assert run_cli("evaluate", "results", "--dataset", "gt", "-o", "out").code == 0
    browser.get((tmp_path / "out" / "report.html").as_uri())

    def names() -> list[str]:
        rows = browser.find_elements("css selector", "#sequences tbody tr")
        return [row.text.split()[0] for row in rows if row.is_displayed()]

    assert names() == ["s0", "s1", "s2"]
    head = browser.find_elements("css selector", "#sequences th")[2]  # mean IoU: 15/17, 13/19, 1
    head.click()
    assert names() == ["s2", "s0", "s1"]
    head.click()
    assert names() == ["s1", "s0", "s2"]
    browser.find_element("id", "filter").send_keys("S2")
    assert names() == ["s2"]
    drawing = browser.find_element("css selector", ".plots svg")
    assert drawing.size["width"] > 200
    assert browser.get_log("browser") == []
