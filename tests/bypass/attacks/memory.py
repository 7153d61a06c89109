"""Where CPython keeps its hooks, for attacks that can read memory. Knows nothing of ctypes."""

import struct


def maps():
    with open("/proc/self/maps") as file:
        for line in file:
            words = line.split()
            start, end = (int(x, 16) for x in words[0].split("-"))
            yield start, end, words[1], words[-1]


def _in_file(path, wanted):
    """The address of a symbol in an ELF file, or None."""
    with open(path, "rb") as file:
        data = file.read()
    sections = struct.unpack_from("<Q", data, 40)[0]
    size, count = struct.unpack_from("<HH", data, 58)
    rows = [struct.unpack_from("<IIQQQQIIQQ", data, sections + i * size) for i in range(count)]
    for row in rows:
        if row[1] != 11:  # SHT_DYNSYM
            continue
        names = rows[row[6]][4]
        for at in range(row[4], row[4] + row[5], 24):
            name, _, _, where, value, _ = struct.unpack_from("<IBBHQQ", data, at)
            begin = names + name
            if where and data[begin : begin + len(wanted) + 1] == wanted + b"\0":
                return value, struct.unpack_from("<H", data, 16)[0] == 3
    return None


def symbol(name):
    """The address of a symbol of the interpreter in this process."""
    tried = set()
    for start, _, _, path in maps():
        if path in tried or not path.startswith("/") or "python" not in path:
            continue
        tried.add(path)
        found = _in_file(path, name.encode())
        if found:
            value, moves = found
            return value + (start if moves else 0)
    raise LookupError(name)


def hook_list(read):
    """The address of the word that begins the list of hooks; None where the recorder is not.
    `read(address, size)` reads memory. As the published tools do it: by looking for the shape.
    """
    known = list(maps())
    ours = [(a, b) for a, b, _, path in known if "belljar-recorder" in path]
    if not ours:
        return None
    low, high = ours[0][0], ours[-1][1]
    good = [(a, b) for a, b, rights, _ in known if rights.startswith("rw")]
    base = symbol("_PyRuntime")
    for at in range(base, base + 65536, 8):
        (entry,) = struct.unpack("<Q", read(at, 8))
        if entry % 8 or not any(a <= entry < b - 24 for a, b in good):
            continue
        if low <= struct.unpack("<Q", read(entry + 8, 8))[0] < high:
            return at
    raise LookupError("the list of hooks")
