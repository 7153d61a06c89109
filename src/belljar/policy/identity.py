"""The identity of a policy: equal for policies that mean the same, wherever they were written."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from belljar.model import Policy

#: Fields that say where something was written, or of what it reminds a person, not what it means.
_PLACES: Final = ("origin", "given", "id", "text")

#: Fields that came later: where they say nothing, a policy is what it was.
_LATER: Final = ("overlay",)


def digest(policy: Policy) -> str:
    """SHA-256 in hexadecimal of the policy's canonical encoding.

    The same in every process and for every Python. Origins do not count, nor does the order of
    grants and of variables; the order of rules does.
    """
    from belljar._native import pack

    unsaid = [name for name in _LATER if not getattr(policy, name)]
    fields = sorted(name for name in policy.__fields__ if name not in (*_PLACES, *unsaid))
    plain = {name: _plain(getattr(policy, name)) for name in fields}
    plain["grants"] = sorted({pack(_plain(grant)) for grant in policy.grants})
    plain["env"] = sorted({pack(_plain(pair)) for pair in policy.env})
    return sha256_hex(b"belljar policy 1\n" + pack(plain))


def _plain(value: object) -> object:
    """Values as lists of their fields by name; text as bytes, so that any text can be packed."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    fields: tuple[str, ...] | None = getattr(value, "__fields__", None)
    if fields is not None:
        kept = (name for name in sorted(fields) if name not in _PLACES)
        return [[_plain(name), _plain(getattr(value, name))] for name in kept]
    return value


def sha256_hex(data: bytes) -> str:
    """SHA-256 in hexadecimal, without loading OpenSSL (3 ms).

    >>> sha256_hex(b"")[:8]
    'e3b0c442'
    """
    for home in ("_sha2", "_sha256", "hashlib"):  # the first two cost nothing to import
        try:
            module = __import__(home)
        except ImportError:
            continue
        return str(module.sha256(data).hexdigest())
    raise ImportError("this Python has no SHA-256")
