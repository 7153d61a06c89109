"""Names that hold secrets, or that something outside the sandbox will obey: what `learn` never
grants by itself. By their letters alone; a secret under another name is not known here.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

#: Any part of a path with one of these names.
_NAMES: Final = frozenset(
    (".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".password-store", ".netrc", ".pgpass",
     ".my.cnf", ".git-credentials", ".npmrc", ".pypirc", ".vault-token", ".mozilla", ".thunderbird",
     ".env", "credentials", "credentials.json", "keyrings", "shadow", "gshadow", "sudoers",
     "authorized_keys", ".bash_history", ".zsh_history", ".python_history", ".Xauthority")
)  # fmt: skip
_PAIRS: Final = frozenset(
    ((".config", "gcloud"), (".config", "gh"), (".config", "chromium"), ("ssl", "private"),
     (".config", "google-chrome"), ("run", "docker.sock"), (".config", "pip"))
)  # fmt: skip
_ENDS: Final = (".key", ".p12", ".pfx", ".kdbx", ".keytab", ".jks", ".ppk")
_BEGINS: Final = ("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", ".env.")
_STARTUP: Final = frozenset(
    (".bashrc", ".bash_profile", ".profile", ".zshrc", ".zshenv", ".zprofile", ".bash_login",
     ".inputrc", ".gitconfig", ".vimrc", "crontab", "cron.d", "autostart", ".pth")
)  # fmt: skip
_SYSTEM: Final = ("bin", "boot", "etc", "lib", "lib64", "sbin", "usr")
#: What a directory that is somebody's home has, so that a grant of all of it is known as one.
_AT_HOME: Final = (
    ".ssh", ".gnupg", ".aws", ".netrc", ".bashrc", ".profile", ".git-credentials", ".kube",
    ".docker", ".env", ".bash_history",
)  # fmt: skip
_WIDE: Final = ("/home", "/root", "/etc", "/var", "/run", "/mnt", "/media", "/tmp", "/usr")
METADATA: Final = ("169.254.169.254", "fd00:ec2::254", "100.100.100.200")


def holds_secrets(path: str) -> str:
    """Why reading `path` may tell a secret, or nothing.

    >>> holds_secrets("/home/me/.ssh/id_ed25519"), holds_secrets("/srv/data/a.csv")
    ('.ssh holds credentials', '')
    """
    parts = path.split("/")
    for part in parts:
        if part in _NAMES:
            return f"{part} holds credentials"
    for index, part in enumerate(parts[1:]):
        pair = (parts[index], part)
        if pair in _PAIRS:
            return f"{'/'.join(pair)} holds credentials"
    name = parts[-1]
    if name.endswith(_ENDS) or name.startswith(_BEGINS):
        return f"{name} looks like a key"
    return ""


def is_obeyed(path: str, names: tuple[str, ...]) -> str:
    """Why writing `path` may decide what runs later, outside the sandbox; or nothing. `names` are
    those that a sandbox shields (`confine/sensitive.py`)."""
    parts = path.split("/")
    for part in parts:
        if part in names or part in _STARTUP or part.endswith(".pth"):
            return f"something outside may later obey or execute {part}"
    if parts[1:2] and parts[1] in _SYSTEM:
        return f"/{parts[1]} belongs to the system"
    return ""


def is_wide(path: str, homes: tuple[str, ...]) -> str:
    """Why the directory `path` is too much to be granted as a whole, or nothing.

    >>> is_wide("/etc", ()), is_wide("/home/me", ("/home/me",)), is_wide("/srv/data", ())
    ('it is a whole tree of the system', 'it is a home directory', '')
    """
    if path in homes or any(home.startswith(f"{path}/") for home in homes):
        return "it is a home directory" if path in homes else "it holds a home directory"
    return "it is a whole tree of the system" if path in _WIDE else ""


def inside_home(path: str) -> tuple[str, ...]:
    """Paths of which one exists where the directory `path` is a home, or holds secrets itself."""
    root = path.rstrip("/")
    return tuple(f"{root}/{name}" for name in _AT_HOME)
