#!/bin/sh
# Builds every fuzz target with the sanitizers and runs it. `fuzz/run.sh [ROUNDS]`
set -eu
here=$(cd "$(dirname "$0")" && pwd)
native=$here/../src/belljar/_native
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
flags="-std=gnu11 -g -O1 -Wall -Wextra -Werror -fsanitize=address,undefined -fno-sanitize-recover=all"
${CC:-cc} $flags -DBELLJAR_FUZZ "$here/frames.c" "$native/frames.c" -o "$out/frames"
"$out/frames" "${1:-200000}"
${CC:-cc} $flags "$here/tokens.c" "$native/tokens.c" -o "$out/tokens"
"$out/tokens" "${1:-200000}"
${CC:-cc} $flags "$here/paths.c" -o "$out/paths"
"$out/paths" "${1:-200000}"
${CC:-cc} $flags "$here/settings.c" "$native/settings.c" -o "$out/settings"
"$out/settings" "${1:-200000}"
${CC:-cc} $flags "$here/digest.c" "$native/digest.c" -o "$out/digest"
"$out/digest"
