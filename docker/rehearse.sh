#!/usr/bin/env bash
# Run the Dockerfile's steps below USER, and its entry point, in a clean folder: what an engine would do, without one.
# Of the last commit, not of the working tree. Takes minutes and 6 GB in the temporary folder.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
git -C "$root" archive HEAD | tar -x -C "$folder"
cd "$folder"
below() { sed '1,/^USER /d' docker/Dockerfile | grep "^$1 " | sed "s/^$1 //"; }
while read -r step; do
    echo "RUN $step"
    bash -c "$step"
done < <(below RUN)
while read -r setting; do
    export "${setting?}"
done < <(below ENV)
entry=$(below ENTRYPOINT | tr -d '[]",')
echo "ENTRYPOINT $entry"
$entry --help > help.txt
grep -q 'fit' help.txt
$entry fit -c configs/quickstart.yaml --trainer.max_epochs 1 --trainer.check_val_every_n_epoch 1
echo "The Dockerfile's steps hold."
