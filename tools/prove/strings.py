"""Names in the machine code of an interpreter that might be events, and are not catalogued.

The name of an event is a constant whose address the code loads before it calls PySys_Audit. So:
every text of the form `word.word` or `word.word/word` whose address some instruction loads, less
what the catalogue has, less what was looked at and is no event. Names of one word (`open`, `exec`)
cannot be told from other words so; the tests that were run under the recorder tell of those.
"""

from __future__ import annotations

import re
import struct
import subprocess
from pathlib import Path

from belljar import catalogue

_NAME = re.compile(rb"[a-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)+(?:/[a-z0-9_]+)?\Z")
#: lea reg, [rip + n]; and mov reg, n, as a program at a fixed address has it.
_LEA = re.compile(rb"[\x48\x4c]\x8d[\x05\x0d\x15\x1d\x25\x2d\x35\x3d]")
_LEA_OR_MOV = re.compile(_LEA.pattern + rb"|[\xb8-\xbf]")
_X86_64, _FIXED = 62, 2

#: Looked at, one by one: names of types, exceptions, modules, capsules, and texts of messages.
_REVIEWED = """
__phello__.__init__ __phello__.ham.__init__ __phello_alias__.spam _dbm.error os.path
_curses._C_API _curses.error _curses_panel.error _hashlib.UnsupportedDigestmodError
_interpchannels.ChannelClosedError _interpchannels.ChannelEmptyError _interpchannels.ChannelError
_interpchannels.ChannelNotEmptyError _interpchannels.ChannelNotFoundError _interpreters.call
_interpreters.exec _lzma.LZMAError _pickle.PickleError _pickle.PicklingError
_pickle.UnpicklingError _pyrepl.main _queue.Empty _socket.CAPI _testcapi.Base
_testcapi.HeapCTypeViaMetaclass _testcapi.HeapTypeNameType _testcapi.Sub _testcapi.Subclass
_testcapi.VectorcallClass _testcapi.error _testcapi.frame_evaluation.code_index
_testcapi.test_descr _testimportexec.error _testsinglephase.error _tkinter.TclError
_xxinterpchannels.ChannelClosedError _xxinterpchannels.ChannelEmptyError
_xxinterpchannels.ChannelError _xxinterpchannels.ChannelNotEmptyError
_xxinterpchannels.ChannelNotFoundError _xxsubinterpreters.ChannelClosedError
_xxsubinterpreters.ChannelEmptyError _xxsubinterpreters.ChannelError
_xxsubinterpreters.ChannelNotEmptyError _xxsubinterpreters.ChannelNotFoundError
_xxsubinterpreters.RunFailedError array.array asyncio.base_futures asyncio.base_tasks
asyncio.coroutines asyncio.events asyncio.exceptions audioop.error binascii.Error
binascii.Incomplete builtins.ExceptionGroup collections.abc ctypes.ArgumentError
ctypes.error_object datetime.datetime_CAPI decimal.DecimalException deque.rotate
interpreters.NotShareableError interpreters.channels interpreters.queues iso_646.irv_1991
locale.Error multibytecodec.codec multibytecodec.map nis.error os.stat_result os.statvfs_result
ossaudiodev.OSSAudioError passwd.byname pdb.set_trace posix.sched_param posix.times_result
posix.waitid_result pyexpat.errors pyexpat.expat_CAPI pyexpat.model re.ASCII re.DEBUG re.DOTALL
re.IGNORECASE re.LOCALE re.MULTILINE re.TEMPLATE re.UNICODE re.VERBOSE signal.itimer_error
socket.gaierror socket.herror sqlite3.Connection sqlite3.DataError sqlite3.DatabaseError
sqlite3.Error sqlite3.IntegrityError sqlite3.InterfaceError sqlite3.InternalError
sqlite3.NotSupportedError sqlite3.OperationalError sqlite3.ProgrammingError sqlite3.Warning
sqlite3.dump ssl.SSLCertVerificationError ssl.SSLEOFError ssl.SSLSyscallError
ssl.SSLWantReadError ssl.SSLWantWriteError ssl.SSLZeroReturnError struct.error termios.error
test.support.interpreters test.support.interpreters.QueueError
test.support.interpreters.QueueNotFoundError test.support.interpreters.channels
test.support.interpreters.queues test.test_capi.test_misc
test.test_import.data.circular_imports.singlephase testcapi._Test typing.NoDefault
unicodedata._ucnhash_CAPI xml.etree.ElementPath xml.etree.ElementTree.ParseError
xml.parsers.expat.ExpatError xxlimited.Error xxlimited_35.error zlib.error zoneinfo._common
zoneinfo._tzpath
"""
NO_EVENTS = frozenset(_REVIEWED.split())


def candidates(python: str) -> tuple[set[str], set[str]]:
    """Names in an interpreter's machine code: those in the catalogue, and those unknown to us.

    Raises `ValueError` where its machine code is not for x86-64: that cannot be searched.
    """
    found: set[str] = set()
    for path in _files(python):
        found |= loaded_texts(path.read_bytes())
    known = {entry.name for entry in catalogue.entries()}
    return found & known, found - known - NO_EVENTS


def loaded_texts(data: bytes) -> set[str]:
    """Texts like an event's name whose address an instruction of this ELF file loads."""
    if data[:5] != b"\x7fELF\x02" or struct.unpack_from("<H", data, 18)[0] != _X86_64:
        raise ValueError("not an ELF file for x86-64")
    segments = list(_segments(data))
    loads = _LEA_OR_MOV if struct.unpack_from("<H", data, 16)[0] == _FIXED else _LEA
    found: set[str] = set()
    for flags, offset, address, size in segments:
        if not flags & 1:
            continue
        for match in loads.finditer(data, offset, offset + size):
            at = match.start()
            width = len(match[0])
            target = int.from_bytes(data[at + width : at + width + 4], "little", signed=width > 1)
            if width > 1:
                target += address + at - offset + 7
            text = _text(data, segments, target)
            if text:
                found.add(text)
    return found


def _text(data: bytes, segments: list[tuple[int, int, int, int]], target: int) -> str:
    for flags, offset, address, size in segments:
        if not flags & 2 and address <= target < address + size:
            at = offset + target - address
            end = data.find(b"\0", at, at + 80)
            text = data[at:end] if end > 0 else b""
            return text.decode() if _NAME.match(text) else ""
    return ""


def _segments(data: bytes):
    """(flags, offset, address, size) of what is loaded from the file."""
    place = struct.unpack_from("<Q", data, 32)[0]
    width, count = struct.unpack_from("<HH", data, 54)
    for number in range(count):
        kind, flags, offset, address, _, size = struct.unpack_from(
            "<IIQQQQ", data, place + number * width
        )
        if kind == 1:
            yield flags, offset, address, size


def _files(python: str) -> list[Path]:
    """The interpreter's own machine code: program, library, extension modules."""
    code = (
        "import sys, sysconfig; get = sysconfig.get_config_var\n"
        "print(sys.executable, str(get('LIBDIR')) + '/' + str(get('INSTSONAME')),"
        " sysconfig.get_path('platstdlib') + '/lib-dynload', sep='\\n')"
    )
    asked = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    program, library, modules = (Path(line) for line in asked.stdout.splitlines())
    files = [program.resolve(), library, *sorted(modules.glob("*.so"))]
    return [path for path in files if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"]
