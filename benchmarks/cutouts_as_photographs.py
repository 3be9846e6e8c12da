"""Write photographs with masks as photographs with polygons, which synthesis reads, beside those it has.

python benchmarks/cutouts_as_photographs.py TRAIN/cutouts TRAIN/coco runs/photographs
"""

import sys
from pathlib import Path

import cv2
import numpy as np

cutouts, coco, output = (Path(text) for text in sys.argv[1:])
for kind in ("images", "instance_polygons"):
    for folder in sorted((coco / kind).iterdir()):
        target = output / kind / folder.name
        target.mkdir(parents=True, exist_ok=True)
        for file in folder.iterdir():
            (target / file.name).write_bytes(file.read_bytes())
for source in sorted(cutouts.iterdir()):
    for kind in ("images", "instance_polygons"):
        (output / kind / source.name).mkdir(parents=True, exist_ok=True)
    for path in sorted((source / "rgb").glob("*.jpg")):
        mask = cv2.imread(str(source / "mask" / f"{path.stem}.png"), cv2.IMREAD_UNCHANGED)
        assert mask is not None
        rows = []
        for value in np.unique(mask)[1:]:
            found, _ = cv2.findContours(
                (mask == value).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_TC89_L1
            )
            largest = max(found, key=cv2.contourArea)
            # Class 0 is a person; all others may turn over.
            label = 0 if source.name in ("ccp", "pennfudan") else 79
            if len(largest) >= 4:
                points = (largest[:, 0] + 0.5) / (mask.shape[1], mask.shape[0])
                rows.append(f"{label} " + " ".join(f"{v:.5f}" for v in points.ravel()))
        name = f"{source.name}_{path.stem}"  # the stems of all photographs must differ
        (output / "images" / source.name / f"{name}.jpg").write_bytes(path.read_bytes())
        (output / "instance_polygons" / source.name / f"{name}.txt").write_text("\n".join(rows) + "\n")
