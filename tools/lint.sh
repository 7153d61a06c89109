#!/bin/sh
# Everything a machine can say about the text of the project. $1: the bin directory of the tools.
set -eu
cd "$(dirname "$0")/.."
bin=$1
"$bin/ruff" check --quiet src tests bench demo tools fuzz
"$bin/ruff" format --check --quiet src tests bench demo tools fuzz
"$bin/mypy" --no-error-summary
warnings="-std=gnu11 -O2 -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2"
headers=$("$bin/python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
for file in src/belljar/_native/*.c; do
    # shellcheck disable=SC2086
    case $(basename "$file") in
    module.c | frames.c | inside.c | reply.c | unpack.c | unchanged.c | confine_here.c) set -- -DBELLJAR_EXTENSION=1 -DPy_LIMITED_API=0x030B0000 "-I$headers" ;;
    zygote.c | zygote_guest.c | reseed.c | settle.c) set -- -D_GNU_SOURCE -DPy_LIMITED_API=0x030B0000 "-I$headers" ;;
    *) if grep -q '"keeper.h"\|"filter.h"\|"network.h"' "$file"; then set -- -D_GNU_SOURCE; else set --; fi ;;
    esac
    # shellcheck disable=SC2086
    ${CC:-gcc} $warnings "$@" -fsyntax-only "$file"
done
echo "lint: clean"
