#!/usr/bin/env bash
# Speed, memory and decoding of slm-tune on a GPU beside transformers and peft: one table, and one JSON file.
#
#     tests/peers/gpu.sh BINARY [--python PY] [--dry] [--only NAMES] [--pairs N] [--out FILE]
#
# PY (python3) has torch, transformers and peft; BINARY is linked against the same torch, whose libraries are found here.
# Neither a network nor weights are needed. gpu.py has the other options; the exit code is 1 when anything failed to run.
set -euo pipefail
(($# >= 1)) && [[ $1 != -* ]] || {
    sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
    exit 2
}
python=python3
arguments=()
while (($#)); do
    case $1 in
        --python) python=${2:?--python needs a Python} && shift ;;
        --python=*) python=${1#*=} ;;
        *) arguments+=("$1") ;;
    esac
    shift
done
# Found without importing torch, which takes seconds.
libraries=$("$python" - <<'PY'
from importlib.util import find_spec
from pathlib import Path

def folders(package, pattern):
    spec = find_spec(package)
    return [str(path) for root in (spec and spec.submodule_search_locations) or [] for path in sorted(Path(root).glob(pattern))]

print(":".join(folders("torch", "lib") + folders("nvidia", "*/lib")))
PY
)
[[ -n $libraries ]] || {
    echo "$python has no torch" >&2
    exit 2
}
export LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error TOKENIZERS_PARALLELISM=false PYTHONDONTWRITEBYTECODE=1
exec "$python" "$(dirname "$0")/gpu.py" "${arguments[@]}"
