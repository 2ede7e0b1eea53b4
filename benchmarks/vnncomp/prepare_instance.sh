#!/bin/bash
# Checks that the files of an instance are there. Nothing is computed before the clock runs.
#
#   prepare_instance.sh v1 CATEGORY NETWORK PROPERTY
set -eu
[ "$1" = v1 ] || { echo "version $1 of the scripts' interface is not known" >&2; exit 1; }
[ -e "$4" ] || [ -e "$4.gz" ] || { echo "there is no property $4" >&2; exit 1; }
