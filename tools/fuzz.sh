#!/bin/sh
# The parsers of hostile bytes under the sanitizers, with gcc, and with clang where there is one.
# `tools/fuzz.sh [ROUNDS]`; needs nothing but a compiler.
set -eu
cd "$(dirname "$0")/.."
rounds=${1:-2000000}
ran=
for compiler in ${CC:-gcc clang}; do
    if command -v "$compiler" >/dev/null 2>&1; then
        echo "fuzz: $compiler, $rounds rounds"
        CC=$compiler fuzz/run.sh "$rounds"
        ran=yes
    fi
done
if [ -z "$ran" ]; then
    echo "fuzz: no C compiler is found" >&2
    exit 1
fi
