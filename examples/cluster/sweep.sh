#!/usr/bin/env bash
# Many small runs on this machine, some at a time: each with another learning rate or seed.
#
#     JOBS=2 ./sweep.sh --data notes.txt --steps 2000
#     npx foretoken runs runs/sweep --sort loss
#
# Arguments are flags of `foretoken train` for all runs. Started again, it goes on with those that are not finished.
set -euo pipefail

rates=(1e-3 2e-3 4e-3)
seeds=(1 2 3)

jobs=${JOBS:-1}
threads=$(($(nproc) / jobs))
if [ "$threads" -lt 1 ]; then threads=1; fi
read -ra foretoken <<< "${FORETOKEN:-npx foretoken}"
failures=$(mktemp)
trap 'rm -f "$failures"' EXIT

train() {
  local rate=$1 seed=$2 flags
  shift 2
  local out=${OUT:-runs/sweep}/rate-$rate-seed-$seed
  mkdir -p "${out%/*}"
  if [ -e "$out/run.json" ]; then
    flags=(--resume "$out")
  else
    flags=(--out "$out" "$@" --learning-rate "$rate" --seed "$seed")
  fi
  "${foretoken[@]}" train "${flags[@]}" --threads "$threads" > "$out.log" 2>&1 ||
    echo "rate $rate, seed $seed: failed, see $out.log" | tee -a "$failures" >&2
}

for rate in "${rates[@]}"; do
  for seed in "${seeds[@]}"; do
    while [ "$(jobs -pr | wc -l)" -ge "$jobs" ]; do wait -n; done
    train "$rate" "$seed" "$@" &
  done
done
wait
[ ! -s "$failures" ]
