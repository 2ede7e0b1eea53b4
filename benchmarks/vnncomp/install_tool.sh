#!/bin/bash
# Installs the package for the scripts beside this one, in an environment of its own.
#
#   install_tool.sh v1
set -eu
[ "$1" = v1 ] || { echo "version $1 of the scripts' interface is not known" >&2; exit 1; }
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
python3 -m venv "$here/environment"
"$here/environment/bin/python" -m pip install "$here/../.."
