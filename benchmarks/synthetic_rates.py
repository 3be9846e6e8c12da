"""How many training samples a second of processor time `dmtrack.synthetic` makes on one core.

    python benchmarks/synthetic_rates.py --samples 400

The stock of cut-outs fills first (1,200 samples), which is not timed.
"""

from __future__ import annotations

import argparse
import itertools
import time

import cv2

from dmtrack.synthetic.sampling import SamplerConfig, TrainingSampler
from dmtrack.video.frame import Modality


def main() -> None:
    """Print a line for each second stream and each kind of sample."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--warm-up", type=int, default=1200)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    for modality, collage_share in itertools.product((None, *Modality), (0.0, 1.0)):
        sampler = TrainingSampler(SamplerConfig(modality=modality, collage_share=collage_share), 0)
        for _ in range(given.warm_up):
            sampler.sample()
        start = time.process_time()
        for _ in range(given.samples):
            sampler.sample()
        rate = given.samples / (time.process_time() - start)
        print(
            f"{modality or 'one stream':10} {'collage' if collage_share else 'scene':8} {rate:6.0f} a second"
        )


if __name__ == "__main__":
    main()
