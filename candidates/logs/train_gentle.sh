#!/bin/bash
cd DMTRACK; . .venv/bin/activate; export PYTHONPATH=$PWD/models:$PWD OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE
D=DATA/train; R=models/dmtrack/weights
[ -f runs/mix.safetensors ] || python benchmarks/mix_weights.py $R/tiny-foundation.safetensors runs/motion/checkpoint.pt 0.45 runs/mix.safetensors
exec python -m dmtrack_cli train -o runs/gentle --stage foundation --init runs/mix.safetensors \
  --data $D/video=3 --data synthetic=2 --strong --photographs runs/photographs --thermal-images $D/hit_uav \
  --config $R/gentle.toml --steps ${STEPS:-300} --seed 1 --no-bf16 --workers 0 --threads 1 --store fp16
