#!/bin/bash
# MODALITY STEPS
cd DMTRACK; . .venv/bin/activate; export PYTHONPATH=$PWD/models:$PWD OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE
D=DATA/train; R=models/dmtrack/weights
exec python -m dmtrack_cli train -o runs/$1 --stage adapters --modality $1 --init ${INIT:-runs/quality/weights.safetensors} \
  --init-adapters $R/tiny-$1.safetensors \
  --data runs/pairs/$1=1 --data synthetic=1 --strong --photographs runs/photographs --thermal-images $D/hit_uav \
  --config $R/adapters_again.toml --batch-size 16 --learning-rate 0.0004 --steps $2 --seed 3 --no-bf16 --workers 0 --threads 1 --store fp16
