"""Write the real pairs of `../shared/data/train` as annotated sequences of two streams.

    python benchmarks/real_pairs.py TRAIN runs/pairs

`event`: clips of `video` that are not kept back, with their simulated event pictures. `depth`: the kitchen, one sequence a target.
`thermal`: of every still up to three warm things, each as a sequence of one picture repeated.
"""

import csv
import shutil
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from held_out_clips import HELD_OUT

source, output = (Path(text) for text in sys.argv[1:])
#: A sequence needs so many frames.
REPEATS = 8


def sequence(folder, modality, frames):
    """Write `(rgb, second, box)` a frame."""
    for name in ("rgb", modality):
        (folder / name).mkdir(parents=True, exist_ok=True)
    rows = []
    for number, (rgb, second, box) in enumerate(frames, 1):
        shutil.copy(rgb, folder / "rgb" / f"{number:06d}{rgb.suffix}")
        shutil.copy(second, folder / modality / f"{number:06d}{second.suffix}")
        rows.append(",".join(f"{value:.2f}" for value in box))
    (folder / "groundtruth.txt").write_text("\n".join(rows) + "\n")


def on_white(path, scratch):
    """Draw an event picture as the program draws events: white ground, positive red, negative blue."""
    blue, _, red = cv2.split(cv2.imread(str(path)))
    drawn = np.full((*red.shape, 3), 255, np.uint8)
    drawn[(red >= 30) & (red >= blue)] = (0, 0, 255)
    drawn[(blue >= 30) & (blue > red)] = (255, 0, 0)
    out = scratch / f"{path.parent.parent.name}_{path.name}"
    cv2.imwrite(str(out), drawn)
    return out


scratch = Path(tempfile.mkdtemp())
for clip in sorted((source / "pairs_event").iterdir()):
    video = source / "video" / clip.name.removeprefix("sim_")
    if video.name in HELD_OUT:
        continue
    boxes = np.loadtxt(video / "groundtruth.txt", delimiter=",")
    frames = []
    for path, box in zip(sorted((video / "rgb").glob("*.jpg")), boxes, strict=True):
        event = clip / "event" / f"{path.stem}.png"
        if event.is_file():
            frames.append((path, on_white(event, scratch), box))
    sequence(output / "event" / video.name, "event", frames)

kitchen = source / "pairs_depth" / "kitchen"
for table in sorted(kitchen.glob("boxes*.csv")):
    frames = []
    for row in csv.DictReader(table.open()):
        rgb = kitchen / "rgb" / row["file"]
        box = [float(row[key]) for key in "xywh"]
        if box[2] > 4 and box[3] > 4 and rgb.is_file():
            frames.append((rgb, kitchen / "depth" / f"{rgb.stem}.png", box))
    if len(frames) >= REPEATS:
        sequence(output / "depth" / table.stem, "depth", frames)

for folder in sorted((source / "pairs_thermal").iterdir()):
    for thermal in sorted((folder / "thermal").glob("*.jpg")):
        picture = cv2.imread(str(thermal), cv2.IMREAD_GRAYSCALE)
        height, width = picture.shape
        smooth = cv2.GaussianBlur(picture, (0, 0), 1.5)
        around = cv2.blur(smooth, (max(height // 4, 3),) * 2)
        warm = ((smooth.astype(int) - around > 28) & (smooth > 90)).astype(np.uint8)
        found, _ = cv2.findContours(warm, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        things = []
        for contour in found:
            x, y, w, h = cv2.boundingRect(contour)
            filled = cv2.contourArea(contour) / (w * h)
            inside = x > 1 and y > 1 and x + w < width - 1 and y + h < height - 1
            if (
                min(w, h) >= 7
                and w * h >= 90
                and w * h < 0.08 * width * height
                and max(w, h) < 4.5 * min(w, h)
            ):
                if inside and filled > 0.4:
                    things.append((cv2.contourArea(contour), (x, y, w, h)))
        for number, (_, box) in enumerate(sorted(things, reverse=True)[:3]):
            rgb = folder / "rgb" / thermal.name
            name = f"{folder.name}_{thermal.stem}_{number}"
            sequence(output / "thermal" / name, "thermal", [(rgb, thermal, box)] * REPEATS)
