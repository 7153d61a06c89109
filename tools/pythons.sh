#!/bin/sh
# List the CPythons from 3.11 on that this machine has: one real binary a minor version.
# `best` prints one to build with. Version managers' shims are passed over: they cost 60 ms.
probe='import sys,os
v=sys.version_info
ok=sys.implementation.name=="cpython" and v>=(3,11) and not sys.flags.debug
print("%d.%d %s"%(v[0],v[1],os.path.realpath(sys.executable)) if ok else "")'
found=""
for candidate in "$HOME"/.pyenv/versions/3.*/bin/python3 "$HOME"/.local/share/uv/python/cpython-3.*/bin/python3 \
    /opt/python/cp3*/bin/python3 /usr/local/bin/python3.1[1-9] /usr/bin/python3.1[1-9] "$(command -v python3)"; do
    [ -x "$candidate" ] || continue
    line=$("$candidate" -I -c "$probe" 2>/dev/null) || continue
    [ -n "$line" ] || continue
    version=${line%% *}
    case " $found " in *" $version "*) continue ;; esac
    # a virtual environment and pip must be possible
    "${line#* }" -I -c 'import venv, ensurepip' 2>/dev/null || continue
    found="$found $version"
    lines="$lines$line
"
done
if [ "$1" = best ]; then
    printf '%s' "$lines" | head -n 1 | cut -d' ' -f2-
else
    printf '%s' "$lines"
fi
