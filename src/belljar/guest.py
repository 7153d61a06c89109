"""`belljar.guest` is what a sandbox shows to the code in it: `host`, `Sandbox`, `narrow`, `array`.

Outside there is nothing to import, and this says so. Its types are in `guest.pyi`.
"""

import sys


def _from_inside() -> None:
    """In a guest that has Belljar itself among its modules, this is what the guest offers."""
    for finder in sys.meta_path:
        if getattr(finder, "__name__", "") == "belljar.finder":
            spec = finder.find_spec(__name__, None)
            if spec is not None and spec.loader is not None:
                spec.loader.exec_module(sys.modules[__name__])
                return
    # without its name: `from belljar import guest` would pass over it, and say less
    raise ModuleNotFoundError(
        "belljar.guest exists only inside a sandbox: run this there (belljar run, box.run), or "
        "catch ImportError outside"
    )


_from_inside()
