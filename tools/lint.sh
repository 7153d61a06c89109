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
    module.c | frames.c | inside.c | reply.c | unpack.c) set -- -DBELLJAR_EXTENSION=1 -DPy_LIMITED_API=0x030B0000 "-I$headers" ;;
    keeper.c | plan.c | namespaces.c | mounts.c | overlay.c | init.c | landlock.c | seccomp.c | seccomp_network.c | limits.c | guest.c | network.c | connect.c | local.c | listen.c | count.c | datagram_net.c | datagrams.c | probe.c) set -- -D_GNU_SOURCE ;;
    *) set -- ;;
    esac
    # shellcheck disable=SC2086
    ${CC:-gcc} $warnings "$@" -fsyntax-only "$file"
done
echo "lint: clean"
