"""The clips of `train/video` that nothing is trained on: a third set to choose by.

    python benchmarks/held_out_clips.py ../shared/data/train/video runs

Writes `runs/held_out` and `runs/video`, links to the clips that are kept back and to the others.
"""

import sys
from pathlib import Path

#: Some of each kind, chosen by name before any weights were measured on them.
HELD_OUT = (
    "davis_camel",
    "davis_drift-straight",
    "dd_ir_drone_094",
    "dd_ir_helicopter_022",
    "dd_rgb_bird_013",
    "dtb_MountainBike6",
    "otb_Basketball",
    "otb_Human6",
    "segtrack_hummingbird",
    "segtrack_monkey",
    "tlp_Bike",
    "uav_person11",
    "uav_wakeboard3",
    "uavdt_S1001",
)

if __name__ == "__main__":
    source, output = (Path(text) for text in sys.argv[1:])
    for clip in sorted(source.iterdir()):
        link = output / ("held_out" if clip.name in HELD_OUT else "video") / clip.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(clip.resolve())
