#!/bin/sh
# Build and test on every CPython found, as many at once as there are processors; the quick rooms
# first. Arguments go to pytest. With one CPython its output comes as it is made, with several at
# the end of each, and a line of progress meanwhile.
set -eu
cd "$(dirname "$0")/.."
list=$(tools/pythons.sh)
[ -n "$list" ] || { echo "test: no CPython 3.11 or newer with venv was found" >&2; exit 1; }
echo "CPythons found:"
printf '%s\n' "$list" | sed 's/^/  /'
rooms="tests/unit tests/property tests/shape tests/docs tests/cli tests/bypass tests/kernel tests/escape tests/honest"
versions=$(printf '%s\n' "$list" | cut -d' ' -f1)
for version in $versions; do
    python=$(printf '%s\n' "$list" | sed -n "s/^$version //p")
    venv=.venvs/$version
    [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check . --group test
done
export BELLJAR_MUST_WORK="${BELLJAR_MUST_WORK:-}"

# A second look at what failed with $1, alone on the machine: tools/second_look.py says at what.
again() {
    failed=$(".venvs/$1/bin/python" tools/second_look.py ".venvs/$1.cache") || return 1
    echo "test: CPython $1: a second look, alone, at: $failed"
    # shellcheck disable=SC2086
    ".venvs/$1/bin/python" -m pytest -q -o "cache_dir=.venvs/$1.cache" --last-failed --last-failed-no-failures none $rooms || return 1
    echo "test: CPython $1: UNSTABLE, to be mended: $failed"
}
for version in $versions; do rm -rf ".venvs/$version.cache"; done
if [ "$(printf '%s\n' "$versions" | wc -l)" = 1 ]; then
    # shellcheck disable=SC2086
    ".venvs/$versions/bin/python" -m pytest -q -o "cache_dir=.venvs/$versions.cache" $rooms "$@" || again "$versions"
    exit
fi

progress() { # $1: seconds between lines; ends with the script
    while sleep "$1"; do
        line=""
        for version in $versions; do
            told=$(grep -ao '\[ *[0-9]*%\]' ".venvs/$version.log" 2>/dev/null | tail -n 1 | tr -d '[] ')
            line="$line  $version ${told:--}"
        done
        echo "testing:$line"
    done
}
for version in $versions; do rm -f ".venvs/$version.log" ".venvs/$version.failed"; done
progress "${BELLJAR_PROGRESS:-30}" &
progressing=$!
trap 'kill $progressing 2>/dev/null' EXIT
# The name of a version becomes $0 of each shell that xargs starts, the words for pytest the rest.
# shellcheck disable=SC2086,SC2016
printf '%s\n' $versions | ROOMS="$rooms" xargs -P "$(nproc)" -I VERSION sh -c '
    ".venvs/$0/bin/python" -m pytest -q -o "cache_dir=.venvs/$0.cache" $ROOMS "$@" >".venvs/$0.log" 2>&1 </dev/null || : >".venvs/$0.failed"
    echo "== CPython $0"
    cat ".venvs/$0.log"' VERSION "$@"
status=0
for version in $versions; do
    [ ! -e ".venvs/$version.failed" ] || again "$version" || { echo "test: CPython $version failed" >&2; status=1; }
done
exit $status
