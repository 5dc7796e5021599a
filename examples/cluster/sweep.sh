#!/usr/bin/env bash
# Many small runs on this machine, several at a time, each with another learning rate or seed.
#
#     JOBS=2 examples/cluster/sweep.sh --data notes.txt --steps 2000
#     npx foretoken runs runs/sweep --sort loss
#
# Arguments are flags of `foretoken train` for all runs. Variables:
#
#     JOBS       number of runs at the same time; default: 1
#     OUT        folder for the runs and their logs; default: runs/sweep
#     FORETOKEN  a clone that is built; default: the clone that contains this script
#
# Ctrl-C or SIGTERM saves the active runs. When you start the script again, it resumes unfinished runs and skips
# finished runs.
set -euo pipefail

rates=(1e-3 2e-3 4e-3)
seeds=(1 2 3)

jobs=${JOBS:-1}
folder=${OUT:-runs/sweep}
clone=${FORETOKEN:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
program=$clone/dist/cli/main.js
if ! [[ $jobs =~ ^[1-9][0-9]{0,3}$ ]]; then
  echo "sweep.sh: JOBS must be a whole number from 1 to 9999; got $jobs; try JOBS=2" >&2
  exit 2
fi
if [ ! -e "$program" ]; then
  echo "sweep.sh: the clone must be built; got no $program; try npm ci in the clone, or FORETOKEN=the clone" >&2
  exit 2
fi
threads=$(($(nproc) / jobs))
if [ "$threads" -lt 1 ]; then threads=1; fi
mkdir -p "$folder"
failures=$(mktemp)
trap 'rm -f "$failures"' EXIT

# Runs in its own process group. A signal goes to the whole group: the run saves, and the shell waits for the run.
train() {
  local out=$1 name=$2 begins=begins flags status=0
  shift 2
  trap : INT TERM HUP
  if [ -e "$out/run.json" ]; then
    if [[ $(node "$program" runs "$out" --json) =~ '"state":"'(finished|patience)'"' ]]; then
      echo "$name: is finished, skipped"
      return
    fi
    begins=resumes
    flags=(--resume "$out")
  else
    flags=(--out "$out" "$@")
  fi
  echo "$name: $begins, log in $out.log"
  node "$program" train "${flags[@]}" --threads "$threads" >> "$out.log" 2>&1 || status=$?
  case $status in
    0) echo "$name: done" ;;
    129 | 130 | 143) echo "$name: stopped" ;;
    *) echo "$name: failed, see $out.log" | tee -a "$failures" >&2 ;;
  esac
}

stopped=0
# Arguments: the signal, and the exit status after this signal.
stop() {
  local group
  stopped=$2
  for group in $(jobs -pr); do kill -s "$1" -- "-$group" 2> /dev/null || true; done
}
trap 'stop INT 130' INT
trap 'stop TERM 143' TERM
trap 'stop HUP 129' HUP

running() { jobs -pr | wc -l; }

# Job control gives each run its own process group, so a run gets Ctrl-C only once, from this script. A second signal
# would end the run without saving.
set -m
for rate in "${rates[@]}"; do
  for seed in "${seeds[@]}"; do
    # A signal also ends the wait.
    while [ "$stopped" = 0 ] && [ "$(running)" -ge "$jobs" ]; do wait -n || true; done
    if [ "$stopped" != 0 ]; then break 2; fi
    train "$folder/rate-$rate-seed-$seed" "rate $rate, seed $seed" "$@" --learning-rate "$rate" --seed "$seed" < /dev/null &
  done
done
while [ "$(running)" -gt 0 ]; do wait -n || true; done

if [ "$stopped" != 0 ]; then
  echo "stopped; to go on: the same command again" >&2
  exit "$stopped"
fi
printf 'sorted by loss: node %q runs %q --sort loss\n' "$program" "$folder"
[ ! -s "$failures" ]
