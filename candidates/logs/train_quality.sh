#!/bin/bash
cd DMTRACK; . .venv/bin/activate; export PYTHONPATH=$PWD/models:$PWD OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE
D=DATA/train; R=models/dmtrack/weights
exec python -m dmtrack_cli train -o runs/quality --stage quality --init ${INIT:-runs/gentle/weights.safetensors} \
  --data $D/video=3 --data synthetic=1 --strong --absent-share 0.2 --photographs runs/photographs --thermal-images $D/hit_uav \
  --config $R/quality.toml --steps ${STEPS:-100} --batch-size 48 --seed 2 --no-bf16 --workers 0 --threads 1 --store fp16
