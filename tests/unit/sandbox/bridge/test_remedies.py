"""A value that cannot cross is refused with a line that says what to pass instead."""

from __future__ import annotations

import array
import collections
import subprocess
import sys
import types

import pytest

import belljar
from belljar.sandbox.guest.values import Unsendable, dumps

Point = collections.namedtuple("Point", "x y")


def made(module: str, name: str) -> type:
    """A type as that library's, of which no method runs."""

    def never(*_about: object) -> None:
        raise AssertionError("ran code of the value's")

    base = type(name, (), {"__module__": module, "__repr__": never, "__getattr__": never})
    return type("Own", (base,), {"__module__": "__main__"})


@pytest.mark.parametrize(
    ("module", "name", "remedy"),
    [
        ("pandas.core.frame", "DataFrame", "pyarrow.Table.from_pandas(it), or it.to_dict()"),
        ("pandas.core.series", "Series", "it.to_numpy(), or it.to_list()"),
        ("polars.dataframe.frame", "DataFrame", "it.to_arrow(), or it.to_dicts()"),
        ("torch", "Tensor", "it.detach().cpu().numpy()"),
        ("pydantic.main", "BaseModel", "it.model_dump()"),
        ("scipy.sparse._csr", "csr_matrix", "it.toarray()"),
        ("PIL.Image", "Image", "numpy.asarray(it)"),
    ],
)
def test_of_usual_libraries(module: str, name: str, remedy: str) -> None:
    with pytest.raises(Unsendable) as refused:
        dumps([made(module, name)()])
    assert str(refused.value) == f"Own is not data that crosses the bridge: pass {remedy}"


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        (Point(1, 2), "tuple(it)"),
        (collections.OrderedDict(), "dict(it)"),
        (collections.defaultdict(list), "dict(it)"),
        (collections.Counter(), "dict(it)"),
        (collections.deque(), "list(it)"),
        (types.MappingProxyType({}), "dict(it)"),
        (memoryview(b"x"), "bytes(it)"),
        (array.array("i"), "it.tolist(), or a numpy array"),
        (object(), "its data, or belljar.Exposed(it, methods=[...])"),
    ],
)
def test_of_the_standard_library(value: object, remedy: str) -> None:
    with pytest.raises(Unsendable) as refused:
        dumps({"a": value})
    assert str(refused.value).endswith(f" is not data that crosses the bridge: pass {remedy}")


def test_of_attrs() -> None:
    attrs = pytest.importorskip("attrs")

    @attrs.define
    class Own:
        x: int = 1

    with pytest.raises(Unsendable, match=r"pass attrs.asdict\(it\)"):
        dumps(Own())


def test_of_arrays_of_objects() -> None:
    numpy = pytest.importorskip("numpy")
    from belljar.sandbox.live.arrays import plain

    with pytest.raises(belljar.BelljarError, match=r"pass it.tolist\(\), or it.astype\(float\)"):
        plain(numpy.array([object()]).dtype)


#: Imports nothing of the named packages, as where they are not installed.
WITHOUT = """
import sys
class Missing:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in ("opentelemetry", "numpy", "duckdb"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing)
import belljar
try:
    %s
except Exception as error:
    print(type(error).__name__, error, sep=": ")
"""


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (
            "import belljar.adapters.otel",
            "ModuleNotFoundError: belljar.adapters.otel needs opentelemetry, which is not "
            "installed: pip install 'belljar[otel]'",
        ),
        (
            "belljar.array(3)",
            "BelljarError: belljar.array needs numpy, which is not installed: pip install numpy",
        ),
        (
            "from belljar.ledger.query.columns import extra; extra()",
            "LedgerError: this needs duckdb: install it with pip install 'belljar[query]'",
        ),
        (
            "from belljar.ledger.sinks.config import parse; "
            "from belljar.ledger.sinks.otlp import Otlp; Otlp(parse('otlp+http://127.0.0.1'))",
            "Down: opentelemetry is not installed: pip install 'belljar[otel]'",
        ),
    ],
)
def test_what_needs_an_extra_names_it(code: str, told: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT % code], capture_output=True, text=True, check=False
    )
    assert run.stdout == told + "\n", run.stderr
