"""Put EfficientNet-Lite0 beside the convolutional stem of a foundation, so that nothing is lost at the start.

    python benchmarks/lite_stem.py FOUNDATION.safetensors LITE0.pth VIDEO PHOTOGRAPHS THERMAL OUT.safetensors

The two maps that read Lite0 are fitted, by least squares on training crops, to give the tokens that the
convolutions give. Half of the tokens then comes from Lite0, the rest from the convolutions.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from dmtrack.network.lite_stem import LiteStem
from dmtrack.network.model import DMTrack, normalize
from dmtrack.network.weights.checkpoint import load_weights, save_weights
from dmtrack.synthetic.sample import SampleShape
from dmtrack.synthetic.sampling import TrainingSampler
from dmtrack.training.strong_sequences import StrongConfig, StrongSource
from dmtrack.training.train_config import Pictures

#: Of the tokens, what Lite0 gives.
SHARE = 0.5
#: Pairs of one real and one made-up sample, and what keeps the fit from following single channels.
SAMPLES, RIDGE = 128, 1e-3

old, lite0, video, photographs, thermal, out = (Path(text) for text in sys.argv[1:7])
weights = load_weights(old)
config = replace(weights.meta.config, stem="lite")
model = DMTrack(config, with_adapters=False).eval()
tensors = {
    name.replace("foundation.stem.", "foundation.stem.conv."): t for name, t in weights.tensors.items()
}
model.load_state_dict(tensors, strict=False)
stem = model.foundation.stem
assert isinstance(stem, LiteStem)
own = [t for part in (stem.first, stem.early, stem.late) for t in part.state_dict().values()]
# its file has the tensors in the order of the layers
for mine, given in zip(own, torch.load(lite0, map_location="cpu", weights_only=True).values(), strict=False):
    assert mine.shape == given.shape, "these are weights of another network"
    mine.copy_(given)
samplers = (
    StrongSource.open(video, StrongConfig())(5),
    TrainingSampler(Pictures(photographs, thermal).sampler_config(SampleShape()), 7),
)
sums = [torch.zeros(())] * 4
count = 0
with torch.no_grad():
    for _ in range(SAMPLES):
        samples = [sampler.sample() for sampler in samplers]
        for crops in (
            np.stack([s.search for s in samples]),
            np.concatenate([s.templates for s in samples]),
        ):
            images = normalize(torch.from_numpy(crops))
            fine, coarse = stem.features(images)
            columns = F.unfold(fine, 4, stride=2, padding=1)
            x = torch.cat((columns, coarse.flatten(2)), 1).transpose(1, 2).flatten(0, 1).double()
            y = stem.conv(images).flatten(2).transpose(1, 2).flatten(0, 1).double()
            for k, term in enumerate((x.T @ x, x.T @ y, x.sum(0), y.sum(0))):
                sums[k] = sums[k] + term
            count += len(x)
    xx, xy, x1, y1 = (term / count for term in sums)
    gram = xx - torch.outer(x1, x1)
    maps = torch.linalg.solve(gram + RIDGE * torch.diag(gram.diagonal()), xy - torch.outer(x1, y1))
    split = stem.fine.weight[0].numel()
    stem.fine.weight.copy_(SHARE * maps[:split].T.reshape(stem.fine.weight.shape))
    stem.project.weight.copy_(SHARE * maps[split:].T[..., None, None])
    assert stem.project.bias is not None
    stem.project.bias.copy_(SHARE * (y1 - x1 @ maps))
    for parameter in stem.conv[-1].parameters():
        parameter.mul_(1 - SHARE)
save_weights(out, model.state_dict(), replace(weights.meta, config=config, source_name=out.name))
