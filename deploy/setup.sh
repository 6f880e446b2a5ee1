#!/bin/sh
# Finds a Python that is new enough and lets install.py do the rest.  Use: sh deploy/setup.sh run|dev
# A command that is there may still not work (a version manager's placeholder, for one), so each is tried.
cd "$(dirname "$0")/.." || exit 1
for python in ${PYTHON:-} python3.13 python3.12 python3.11 python3 python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
        exec "$python" -I deploy/install.py "$@"
    fi
done
found=$(python3 -V 2>&1) || found="no python3 at all"
echo "Python 3.11 or newer is needed and was not found ($found). Install one, or name it: make run PYTHON=/path/to/python3" >&2
exit 1
