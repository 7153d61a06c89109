"""`belljar log witness`: cosign the checkpoints of ledgers from another place, or ask for it.

Exit status: 0 every ledger was cosigned, 1 one was refused or could not be read, 2 usage.
"""

from __future__ import annotations

import os
import sys

from belljar.cli.log_text import safe
from belljar.errors import LedgerError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable

    from belljar.ledger.tree.note import Note, SigningKey, VerifierKey
    from belljar.ledger.witness.cosign import Witness


def arguments(parser: ArgumentParser) -> None:
    """The command line."""
    parser.add_argument("ledgers", nargs="*", metavar="LEDGER", help="default: your own")
    parser.add_argument("--state", metavar="DIR", help="what the witness has seen, and its key")
    parser.add_argument("--key", metavar="FILE", help="its private key (DIR/key)")
    parser.add_argument("--new-key", metavar="NAME", help="make a key; prints what to trust")
    parser.add_argument(
        "--trust",
        metavar="FILE",
        action="append",
        default=[],
        help="verifier keys of logs to cosign, one a line (a ledger's keys/public)",
    )
    parser.add_argument("--stdout", action="store_true", help="print the cosigned notes")
    parser.add_argument("--listen", metavar="HOST:PORT", help="serve tlog-witness over HTTP")
    parser.add_argument("--submit", metavar="URL", help="ask the witness there to cosign")
    parser.add_argument("--vkey", metavar="VKEY", help="with --submit: its key, or a file with it")


def act(options: Namespace) -> int:
    """See the module."""
    ledgers = options.ledgers or [options.directory]
    if options.submit:
        if not options.vkey or options.state or options.listen:
            raise UsageError("--submit URL goes with --vkey VKEY, and without --state or --listen")
        key = _vkey(options.vkey)
        return _each(ledgers, lambda ledger: _submit(ledger, options, key))
    if not options.state:
        raise UsageError("a witness keeps what it has seen: --state DIR")
    path = options.key or os.path.join(options.state, "key")
    if options.new_key:
        return _new_key(options.state, path, options.new_key)
    witness = _witness(options, path)
    if options.listen:
        return _listen(witness, options.listen)
    if options.trust and not options.ledgers:
        return 0
    return _each(ledgers, lambda ledger: _watch(witness, ledger, options))


def _each(ledgers: list[str], act: Callable[[str], None]) -> int:
    status = 0
    for ledger in ledgers:
        try:
            act(ledger)
        except LedgerError as error:
            sys.stdout.flush()
            print(f"belljar: {safe(ledger)}: {safe(str(error))}", file=sys.stderr)
            status = 1
    return status


def _watch(witness: Witness, ledger: str, options: Namespace) -> None:
    from belljar.ledger.witness.protocol import watch

    note, new = watch(witness, ledger)
    for key in new:
        print(f"trusted: {safe(key.vkey())}", file=sys.stderr if options.stdout else sys.stdout)
    _put(ledger, note, witness.key.public, options)


def _submit(ledger: str, options: Namespace, key: VerifierKey) -> None:
    from belljar.ledger.witness.protocol import submit

    _put(ledger, submit(ledger, options.submit, key), key, options)


def _put(ledger: str, note: Note, key: VerifierKey, options: Namespace) -> None:
    from belljar.ledger.tree.checkpoint import parse
    from belljar.ledger.witness.cosign import write_cosigned

    if options.stdout:
        sys.stdout.write(note.render().decode())
        return
    path = write_cosigned(ledger, key, note)
    found = parse(note.text)
    print(f"cosigned: {safe(found.origin)} at {found.size} leaves, in {safe(path)}")


def _new_key(state: str, path: str, name: str) -> int:
    from belljar.ledger.tree import keys
    from belljar.ledger.tree.note import COSIGNATURE, NoteMalformed, SigningKey

    try:
        key = SigningKey.new(name, COSIGNATURE)
    except NoteMalformed as error:
        raise UsageError(f"--new-key {name}: {error}") from error
    try:
        os.makedirs(state, 0o700, exist_ok=True)
    except OSError as error:
        raise LedgerError(f"cannot make {state}: {error.strerror}") from error
    keys.save(path, key)
    print(key.public.vkey())
    return 0


def _witness(options: Namespace, path: str) -> Witness:
    from belljar.ledger.tree import keys
    from belljar.ledger.tree.note import COSIGNATURE
    from belljar.ledger.witness.cosign import Witness

    if not os.path.exists(path):
        raise LedgerError(f"no key at {path}: make one with --new-key NAME")
    key: SigningKey = keys.load(path)
    if key.public.type != COSIGNATURE:
        raise LedgerError(f"the key {path} is not of a witness (type 4): make one with --new-key")
    witness = Witness(options.state, key)
    for file in options.trust:
        logs = [one for one in keys.published(file) if "/epoch/" not in one.name]
        for one in witness.trust(logs):
            print(f"trusted: {safe(one.vkey())}")
    return witness


def _listen(witness: Witness, address: str) -> int:
    from belljar.ledger.witness.server import serve

    host, colon, port = address.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise UsageError(f"--listen {address}: expected HOST:PORT, such as 127.0.0.1:7380")

    def ready(where: str, at: int) -> None:
        print(f"listening: http://{f'[{where}]' if ':' in where else where}:{at}", flush=True)

    def told(status: int, text: str) -> None:
        if status != 409:  # how whoever submits asks how far we are
            print(f"belljar: answered {status}: {safe(text)}", file=sys.stderr, flush=True)

    serve(witness, host.strip("[]"), int(port), ready, told)
    return 0


def _vkey(given: str) -> VerifierKey:
    from belljar.ledger.tree.keys import published
    from belljar.ledger.tree.note import COSIGNATURE, NoteMalformed, parse_vkey

    try:
        found = [parse_vkey(given)] if "+" in given else published(given)
    except NoteMalformed as error:
        raise UsageError(f"--vkey {given}: {error}") from error
    if len(found) != 1 or found[0].type != COSIGNATURE:
        raise UsageError(f"--vkey {given}: expected the one key of a witness (type 4)")
    return found[0]
