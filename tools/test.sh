#!/bin/sh
# Build and test on every CPython found; the quick rooms first. Arguments go to pytest.
set -eu
cd "$(dirname "$0")/.."
list=$(tools/pythons.sh)
[ -n "$list" ] || { echo "test: no CPython 3.11 or newer with venv was found" >&2; exit 1; }
echo "CPythons found:"
printf '%s\n' "$list" | sed 's/^/  /'
quick="tests/unit tests/property tests/shape tests/docs"
slow="tests/cli tests/bypass tests/kernel tests/escape tests/honest"
status=0
for version in $(printf '%s\n' "$list" | cut -d' ' -f1); do
    python=$(printf '%s\n' "$list" | sed -n "s/^$version //p")
    venv=.venvs/$version
    [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check . --group test
    echo "== CPython $version ($python)"
    # shellcheck disable=SC2086
    BELLJAR_MUST_WORK=${BELLJAR_MUST_WORK:-} "$venv/bin/python" -m pytest -q $quick $slow "$@" || status=1
done
exit $status
