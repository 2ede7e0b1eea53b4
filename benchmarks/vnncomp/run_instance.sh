#!/bin/bash
# Answers one instance: the first line of RESULTS is sat, unsat, unknown or timeout, a counterexample follows.
#
#   run_instance.sh v1 CATEGORY NETWORK PROPERTY RESULTS SECONDS
#
# NETWORK is a file, or a list of names and files as in the competition: [('f', 'a.onnx'), ('g', 'b.onnx')].
# RELUGRAD_PYTHON may name another Python than that of install_tool.sh.
set -u
[ "$1" = v1 ] || { echo "version $1 of the scripts' interface is not known" >&2; exit 1; }
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
python="${RELUGRAD_PYTHON:-$here/environment/bin/python}"
property="$4"
[ -e "$property" ] || property="$property.gz"
seconds=$(awk "BEGIN { left = $6 - 2 - 0.02 * $6; print (left > 1) ? left : 1 }")  # starting and ending take time too
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
"$python" -m pyomo_relugrad verify "$3" "$property" --results "$5" --time-limit "$seconds"
case $? in
    0 | 1 | 4) exit 0 ;;                       # it holds, is not known, is violated
    *) echo unknown > "$5"; exit 0 ;;          # what cannot be read, or is refused
esac
