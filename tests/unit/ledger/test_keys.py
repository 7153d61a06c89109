"""Key files: private ones are private, replacing one survives a kill, erasing one erases."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from belljar.errors import LedgerError
from belljar.ledger.tree import keys
from belljar.ledger.tree.note import SigningKey, open_note, sign


def content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def test_a_key_is_saved_for_its_owner_only_and_loaded_again(tmp_path: Path) -> None:
    path = tmp_path / "key"
    key = SigningKey.new("example.com/log")
    old = os.umask(0)
    try:
        keys.save(str(path), key)
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_nlink == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["key"]
    again = keys.load(str(path))
    assert again.public == key.public
    assert open_note(sign("a\n", [again]), [key.public]).text == "a\n"


def test_a_key_is_never_written_over_another(tmp_path: Path) -> None:
    path = tmp_path / "key"
    keys.save(str(path), SigningKey.new("a"))
    before = path.read_bytes()
    with pytest.raises(LedgerError, match="cannot write the key"):
        keys.save(str(path), SigningKey.new("b"))
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o644])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    keys.save(str(path), SigningKey.new("a"))
    path.chmod(mode)
    with pytest.raises(LedgerError, match="others can read it"):
        keys.load(str(path))


def test_a_link_a_folder_a_pipe_and_rubbish_are_no_keys(tmp_path: Path) -> None:
    keys.save(str(tmp_path / "key"), SigningKey.new("a"))
    (tmp_path / "link").symlink_to("key")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "rubbish").write_bytes(os.urandom(200))
    (tmp_path / "rubbish").chmod(0o600)
    for name in ("link", "folder", "pipe", "rubbish", "absent"):
        with pytest.raises(LedgerError):
            keys.load(str(tmp_path / name))


def test_erasing_overwrites_before_it_unlinks(tmp_path: Path) -> None:
    path = tmp_path / "key"
    key = SigningKey.new("a")
    keys.save(str(path), key)
    os.link(path, tmp_path / "other")  # what the blocks of the file hold afterwards
    keys.erase(str(path))
    assert not path.exists()
    left = (tmp_path / "other").read_bytes()
    assert len(left) == len(key.private()) + 1
    assert key.private().encode()[-44:] not in left
    keys.erase(str(path))  # nothing there: no error


def test_rotating_puts_the_new_key_there_and_erases_the_old(tmp_path: Path) -> None:
    path = tmp_path / "epoch"
    old, new = SigningKey.new("a"), SigningKey.new("b")
    keys.save(str(path), old)
    os.link(path, tmp_path / "other")
    keys.rotate(str(path), new)
    assert keys.load(str(path)).public == new.public
    assert old.private().encode()[-44:] not in (tmp_path / "other").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["epoch", "other"]


def test_a_rotation_killed_at_any_step_is_finished_with_the_new_key(tmp_path: Path) -> None:
    """Every state of the folder between two system calls of `rotate`, left so, then finished."""
    old, new = SigningKey.new("a"), SigningKey.new("b")
    names = ("open", "link", "unlink", "rename", "fsync", "pwrite")
    step = 0
    while True:
        folder = tmp_path / str(step)
        folder.mkdir()
        path = folder / "epoch"
        keys.save(str(path), old)
        left = [step]

        class Killed(BaseException):
            pass

        with pytest.MonkeyPatch.context() as patch:
            for name in names:
                real = getattr(os, name)

                def call(
                    *args: object, real: object = real, left: list[int] = left, **kw: object
                ) -> object:
                    if left[0] == 0:
                        raise Killed
                    left[0] -= 1
                    return real(*args, **kw)  # type: ignore[operator]

                patch.setattr(os, name, call)
            try:
                keys.rotate(str(path), new)
                done = True
            except Killed:
                done = False
        began = (folder / "epoch.next").exists()
        if keys.finish(str(path)) or done:
            assert keys.load(str(path)).public == new.public
        else:
            assert not began
            if keys.load(str(path)).public == old.public:
                keys.rotate(str(path), new)
            assert keys.load(str(path)).public == new.public
        everything = b"".join(content(p) for p in folder.iterdir())
        assert old.private().encode()[-44:] not in everything
        if done:
            break
        step += 1
    assert step > 8


def test_finish_does_nothing_where_nothing_began_and_keeps_the_old_key_for_rubbish(
    tmp_path: Path,
) -> None:
    path = tmp_path / "epoch"
    key = SigningKey.new("a")
    keys.save(str(path), key)
    assert not keys.finish(str(path))
    (tmp_path / "epoch.next").write_text("rubbish")
    (tmp_path / "epoch.next").chmod(0o600)
    with pytest.raises(LedgerError):
        keys.finish(str(path))
    assert keys.load(str(path)).public == key.public


def test_public_keys_are_listed_in_the_order_they_came(tmp_path: Path) -> None:
    path = str(tmp_path / "public")
    fixed = keys.new_fixed()
    genesis = keys.new_epoch(fixed.name, 0)
    keys.publish(path, fixed.public)
    keys.publish(path, genesis.public)
    assert keys.published(path) == [fixed.public, genesis.public]
    assert fixed.name == keys.origin_of(fixed.public.public)
    assert genesis.name == f"{fixed.name}/epoch/0"


def test_a_line_that_is_no_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "public"
    path.write_text("# ours\n\nnonsense\n")
    with pytest.raises(LedgerError, match=r"public:3: not a verifier key"):
        keys.published(str(path))
    path.write_bytes(b"#" * 70000)
    with pytest.raises(LedgerError, match="too long"):
        keys.published(str(path))


def test_what_a_killed_save_left_is_erased_unless_it_is_a_key_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, temporary = tmp_path / "epoch.next", tmp_path / "epoch.next.tmp"
    erased: list[str] = []
    real = keys._overwrite
    monkeypatch.setattr(
        keys, "_overwrite", lambda one, folder: (erased.append(one), real(one, folder))
    )
    temporary.write_text("half a key")
    keys.save(str(path), SigningKey.new("a"))
    assert erased == [str(temporary)]
    os.rename(path, tmp_path / "epoch")
    os.link(tmp_path / "epoch", temporary)  # killed between the link and the unlink
    keys.save(str(path), SigningKey.new("b"))
    assert erased == [str(temporary)]
    assert keys.load(str(tmp_path / "epoch")).name == "a"
    assert keys.load(str(path)).name == "b"
    assert not temporary.exists()
