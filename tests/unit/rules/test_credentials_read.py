"""The rule credentials-read: files that are keys to something else."""

from __future__ import annotations

import pytest

from belljar.report.text import printable

SECRETS = (
    ".ssh/id_ed25519", ".aws/credentials", ".config/gcloud/application_default_credentials.json",
    ".azure/msal_token_cache.json", ".kube/config", ".docker/config.json", ".netrc", ".pypirc",
    ".npmrc", ".git-credentials", ".config/gh/hosts.yml", ".gnupg/private-keys-v1.d/x.key",
    ".mozilla/firefox/abc.default/logins.json", ".config/google-chrome/Default/Login Data",
    ".cargo/credentials.toml", ".local/share/keyrings/login.keyring", ".password-store/a.gpg",
)  # fmt: skip
PUBLIC = (
    ".ssh/known_hosts", ".ssh/id_ed25519.pub", ".ssh/config", ".aws/config", "credentials",
    "notes/Cookies", ".config/app/settings.toml", "netrc", "shadow.txt",
)  # fmt: skip

READ = """
import os, pathlib
home = pathlib.Path(os.environ["HOME"])
for name in {names!r}:
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
    path.read_bytes()
"""


def test_every_kind_of_credential_fires(fires, tmp_path):
    fired = fires(READ.format(names=SECRETS))
    shown = [printable(f"{tmp_path}/home/{name}", 120) for name in SECRETS]  # TMPDIR may be long
    assert fired.what == [f"wants to read {path}" for path in shown]


def test_what_lies_beside_credentials_and_is_none_does_not_fire(quiet):
    quiet(READ.format(names=PUBLIC))


@pytest.mark.parametrize(
    "program",
    [
        "import os; os.chdir('{home}/.ssh'); open('id_rsa').close()",
        "open('{home}/x/../.ssh//id_rsa', 'r+').close()",
        "open(b'{home}/.ssh/id_rsa').close()",
        "import os; os.close(os.open('{home}/.ssh/id_rsa', os.O_RDONLY))",
        "import shutil; shutil.copyfile('{home}/.ssh/id_rsa', 'copy')",
    ],
)
def test_a_key_fires_by_whatever_name_it_is_opened(fires, tmp_path, program):
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / "x").mkdir()
    (home / ".ssh/id_rsa").touch()
    fires(program.format(home=home))


def test_a_link_to_a_key_fires_where_links_are_followed(watch, tmp_path):
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/id_rsa").touch()
    (tmp_path / "link").symlink_to(".ssh/id_rsa")
    assert watch("open('link').close()", "--resolve").rules == ["credentials-read"]


def test_the_users_of_the_machine_fire(fires):
    fires("try: open('/etc/shadow').close()\nexcept PermissionError: pass")


def test_the_library_whose_file_it_is_may_read_it(quiet, tmp_path):
    """And no other: the same line in the program fires, as above."""
    library = tmp_path / "lib/python3.11/site-packages"
    (library / "botocore").mkdir(parents=True)
    (library / "botocore/__init__.py").write_text(
        "def load(path):\n    with open(path) as file:\n        return file.read()\n"
    )
    info = library / "botocore-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: botocore\nVersion: 1.2\n")
    (info / "RECORD").write_text("botocore/__init__.py,,\nbotocore-1.2.dist-info/METADATA,,\n")
    (tmp_path / "home/.aws").mkdir(parents=True)
    (tmp_path / "home/.aws/credentials").touch()
    quiet(
        f"import sys; sys.path.append({str(library)!r})\n"
        f"import botocore; botocore.load({str(tmp_path / 'home/.aws/credentials')!r})"
    )
