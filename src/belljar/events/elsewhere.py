"""The audit events that CPython raises on Windows or macOS only: known from its sources and its
manual, not proved here, since nothing here runs there. Rows as in `catalogue`, and a column more:
the types of the arguments, as in `details.TYPES`. Loaded only by `table`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from belljar.events.catalogue import Row

_REGISTRY = "a key is told by its number: match it with winreg.OpenKey/result"
_KEY = "key sub_key access"

# fmt: off
ROWS: Final[tuple[tuple[Row, str], ...]] = (
    # Files
    (("os.add_dll_directory", "path", "native", 0, "native", "", "later loads search there"),
     "str"),
    (("os.chflags", "path flags", "write", 0, "file", "", "os.lchflags raises it as well"),
     "str|bytes int"),
    (("os.listdrives", "", "fsinfo", -1, "file", "3.12+", ""), ""),
    (("os.listmounts", "volume", "fsinfo", 0, "file", "3.12+", ""), "str"),
    (("os.listvolumes", "", "fsinfo", -1, "file", "3.12+", ""), ""),
    (("_winapi.CopyFile2", "existing_file_name new_file_name flags", "write", 1, "file", "3.12+",
      "needs read on the first; not in the manual"), "str str int"),
    (("_winapi.CreateFile",
      "file_name desired_access share_mode creation_disposition flags_and_attributes",
      "", 0, "file", "", "also for pipes; access is by Windows' own bits"),
     "str int int int int"),
    (("_winapi.CreateJunction", "src_path dst_path", "write", 1, "file", "",
      "src is only what the junction names"), "str str"),
    (("_winapi.CreateNamedPipe", "name open_mode pipe_mode", "bind", 0, "file", "", ""),
     "str int int"),
    (("_winapi.CreatePipe", "", "", -1, "file", "", ""), ""),
    (("msvcrt.get_osfhandle", "fd", "", -1, "file", "", ""), "int"),
    (("msvcrt.locking", "fd mode nbytes", "", -1, "file", "", ""), "int int int"),
    (("msvcrt.open_osfhandle", "handle flags", "", -1, "file", "", ""), "int int"),
    # Processes
    (("os.spawn", "mode path args env", "run", 1, "process", "",
      "elsewhere os.spawn* raises os.fork here and os.exec in the child"),
     "int str|bytes tuple|list dict|None|object"),
    (("os.startfile", "path operation", "run", 0, "process", "",
      "starts whatever is registered for the file"), "str|bytes str|None"),
    (("os.startfile/2", "path operation arguments cwd show_cmd", "run", 0, "process", "",
      "raised after os.startfile for the same call"),
     "str|bytes str|None str|None str|bytes|None int"),
    (("_winapi.CreateProcess", "application_name command_line current_directory", "run", 0,
      "process", "", "the name is often None: the program is then the first word of the line"),
     "str|None str|None str|None"),
    (("_winapi.OpenProcess", "process_id desired_access", "process", 0, "process", "", ""),
     "int int"),
    (("_winapi.TerminateProcess", "handle exit_code", "signal", -1, "process", "",
      "a handle, not a process number"), "int int"),
    (("_winapi.CreateEventW", "manual_reset initial_state name", "", 2, "process", "3.13+",
      "not in the manual"), "int int str|None"),
    (("_winapi.CreateMutexW", "initial_owner name", "", 1, "process", "3.13+",
      "not in the manual"), "int str|None"),
    (("_winapi.OpenEventW", "desired_access name", "", 1, "process", "3.13+",
      "not in the manual"), "int str"),
    (("_winapi.OpenMutexW", "desired_access name", "", 1, "process", "3.13+",
      "not in the manual"), "int str"),
    (("_wmi.exec_query", "query", "", 0, "process", "3.12+",
      "not in the manual; platform.uname asks so"), "str"),
    # Native code
    (("ctypes.get_last_error", "", "", -1, "native", "", ""), ""),
    (("ctypes.set_last_error", "error", "", -1, "native", "", ""), "int"),
    (("ctypes.seh_exception", "code", "", -1, "native", "",
      "a foreign call crashed; the manual from 3.12 on writes ctypes.set_exception: accept both"),
     "int"),
    (("ctypes.set_exception", "code", "", -1, "native", "3.12+",
      "the manual's name for ctypes.seh_exception"), "int"),
    # The registry
    (("winreg.ConnectRegistry", "computer_name key", "", 0, "other", "",
      "reaches another computer's registry"), "str|None int"),
    (("winreg.CreateKey", _KEY, "", 1, "other", "", _REGISTRY), "int str|None int"),
    (("winreg.DeleteKey", _KEY, "", 1, "other", "", _REGISTRY), "int str int"),
    (("winreg.DeleteTree", "key sub_key", "", 1, "other", "3.15+", _REGISTRY), "int str|None"),
    (("winreg.DeleteValue", "key value", "", 1, "other", "", _REGISTRY), "int str|None"),
    (("winreg.DisableReflectionKey", "key", "", -1, "other", "", _REGISTRY), "int"),
    (("winreg.EnableReflectionKey", "key", "", -1, "other", "", _REGISTRY), "int"),
    (("winreg.EnumKey", "key index", "", -1, "other", "", _REGISTRY), "int int"),
    (("winreg.EnumValue", "key index", "", -1, "other", "", _REGISTRY), "int int"),
    (("winreg.ExpandEnvironmentStrings", "str", "", -1, "other", "", ""), "str"),
    (("winreg.LoadKey", "key sub_key file_name", "", 2, "other", "", _REGISTRY), "int str str"),
    (("winreg.OpenKey", _KEY, "", 1, "other", "", _REGISTRY), "int str|None int"),
    (("winreg.OpenKey/result", "key", "", -1, "other", "",
      "raised after winreg.OpenKey and winreg.CreateKey, with the number of the new key"), "int"),
    (("winreg.PyHKEY.Detach", "key", "", -1, "other", "", _REGISTRY), "int"),
    (("winreg.QueryInfoKey", "key", "", -1, "other", "", _REGISTRY), "int"),
    (("winreg.QueryReflectionKey", "key", "", -1, "other", "", _REGISTRY), "int"),
    (("winreg.QueryValue", "key sub_key value_name", "", 2, "other", "",
      _REGISTRY + "; winreg.QueryValue leaves the last one None, QueryValueEx the second"),
     "int str|None str|None"),
    (("winreg.SaveKey", "key file_name", "", 1, "other", "", _REGISTRY), "int str"),
    (("winreg.SetValue", "key sub_key type value", "", 1, "other", "",
      _REGISTRY + "; winreg.SetValueEx passes the value's own type"),
     "int str|None int object"),
)
# fmt: on

#: Everything above is Windows' own, except for these.
MACOS: Final = frozenset(("os.chflags",))
