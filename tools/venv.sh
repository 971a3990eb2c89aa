#!/bin/sh
# Make .venv hold exactly what requirements.txt locks; `tools/venv.sh development` what tests and lint need too. An
# environment with pytest has the latter and keeps it. Needs Python 3.11 to 3.13 with its venv module, nothing else.
set -eu
cd "$(dirname "$0")/.."

supported='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
python=
for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python; do
    if command -v "$candidate" >/dev/null 2>&1 && "$candidate" -c "$supported" >/dev/null 2>&1; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "dataopsml needs Python 3.11, 3.12 or 3.13; found: $(python3 --version 2>&1 || echo none)." >&2
    echo "Install one (Debian, Ubuntu: apt-get install python3 python3-venv) or name it: make up PYTHON=/path/to/python3.12" >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    echo "$python has no venv module. Install it: Debian, Ubuntu: apt-get install python3-venv; Fedora: python3-pip." >&2
    exit 1
fi

if ! .venv/bin/python -c "$supported" >/dev/null 2>&1; then
    echo "Creating .venv with $("$python" --version)"
    rm -rf .venv
    "$python" -m venv .venv
fi

# Locks and half-built packages of pip and uv stay out of the machine's temporary folder.
TMPDIR=$PWD/.venv/tmp
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
mkdir -p "$TMPDIR"

# uv installs the rest; pip fetches just uv, by the hashes in the lock.
uv_lines=.venv/uv-requirement.txt
awk '/^uv==/ {keep = 1} keep {print} keep && !/\\$/ {exit}' requirements.txt > "$uv_lines"
wanted=$(sed -n 's/^uv==\([^ ]*\).*/\1/p' "$uv_lines")
if [ "$(.venv/bin/uv --version 2>/dev/null | cut -d' ' -f2)" != "$wanted" ]; then
    echo "Installing uv $wanted"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$uv_lines"
fi
locks=requirements.txt
if [ "${1:-}" = development ] || [ -x .venv/bin/pytest ]; then
    locks="requirements.txt requirements-dev.txt"
fi
# An environment that a checkout shares by a link, such as that of a played build, belongs to the checkout that made it:
# its packages of this repository stay those of that one.
# shellcheck disable=SC2086  # two files are two words
digest=$(cat $locks | cksum)
if [ -L .venv ] && [ "$(cat .venv/locks.cksum 2>/dev/null)" = "$digest" ] &&
    .venv/bin/python -c 'import localcloud, pipeline_runner' 2>/dev/null; then
    exit 0
fi
echo "Installing the locked packages into .venv (about 1.4 GB; the first time takes a few minutes)"
# pyspark is a source archive, which setuptools builds: that of the lock, checked by its hash.
build_lines=.venv/build-requirements.txt
awk '/^setuptools==/ {keep = 1} keep {print} keep && !/\\$/ {exit}' requirements.txt > "$build_lines"
# shellcheck disable=SC2086  # two files are two words
.venv/bin/uv pip sync --python .venv/bin/python --require-hashes --build-constraints "$build_lines" $locks
# The distributions of this repository run from their sources. uv builds them itself, without fetching a build backend.
# The CI image is made before there is a checkout: it has none.
if [ -d packages ]; then
    .venv/bin/uv pip install --quiet --offline --python .venv/bin/python --no-deps \
        --editable packages/localcloud --editable packages/pipeline-runner
fi
echo "$digest" > .venv/locks.cksum
touch .venv/installed
case "$locks" in *requirements-dev.txt) touch .venv/development ;; esac
