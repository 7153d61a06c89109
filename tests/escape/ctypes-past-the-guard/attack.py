import _frozen_importlib_external as external
import _imp
import sys

from arms import attempt


@attempt
def deed():
    sys.meta_path[:] = [m for m in sys.meta_path if getattr(m, "__name__", "") != "Guard"]
    sys.path_importer_cache.clear()
    sys.path_hooks[:] = [external.FileFinder.path_hook(*external._get_supported_file_loaders())]
    external.ExtensionFileLoader.create_module = lambda self, spec: _imp.create_dynamic(spec)
    import _ctypes

    return (
        _ctypes.sizeof(_ctypes._SimpleCData.__subclasses__())
        if False
        else bool(_ctypes.dlopen(None, 0))
    )
