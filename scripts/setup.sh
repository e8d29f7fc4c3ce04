#!/usr/bin/env bash
# Makes the virtual environment from requirements.lock. Does nothing when it is up to date.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=.venv
stamp=$venv/.installed
python=${PYTHON:-python3}

wanted=$(cat requirements.lock pyproject.toml | sha256sum)
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && exit 0

command -v "$python" >/dev/null || { echo "setup: there is no $python; install Python 3.11 or newer" >&2; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    { echo "setup: $python is $("$python" -V 2>&1); Python 3.11 or newer is needed (PYTHON=… names another one)" >&2; exit 1; }

if ! "$python" -c 'import ensurepip, venv' 2>/dev/null || ! command -v git >/dev/null; then
    # Debian and Ubuntu ship Python without venv.
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "setup: installing python3-venv and git from the distribution"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv git ca-certificates >/dev/null
    else
        echo "setup: $python lacks the venv module, or git is missing; install python3-venv and git" >&2
        exit 1
    fi
fi

echo "setup: installing into $venv (a minute or two the first time)"
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
"$venv/bin/python" -m compileall -q coder webhooks # a command should not wait for this each time where nothing may be written later
echo "$wanted" >"$stamp"
