"""What the keeper's error lines mean to a person."""

from __future__ import annotations

import errno

import pytest

from belljar.confine.keeper import STEPS, refusal
from belljar.confine.status import NAMES
from belljar.errors import BelljarError, InternalError, Unenforceable


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_failed_names_its_protection_and_a_remedy(step: str) -> None:
    error = refusal(["error", step, str(errno.EPERM), "some detail"])
    assert isinstance(error, Unenforceable)
    assert error.protection in NAMES
    assert error.cause == f"{step}: Operation not permitted (some detail)"
    assert error.remedy == STEPS[step][1]


def test_a_line_without_detail_tells_the_error_alone() -> None:
    error = refusal(["error", "mounts", str(errno.ENOENT)])
    assert str(error) == (
        "cannot protect files: mounts: No such file or directory; check the granted path and its "
        "file system"
    )


def test_an_interpreter_that_does_not_start_is_no_defect_of_ours() -> None:
    error = refusal(["error", "exec", str(errno.ENOEXEC), "/x"])
    assert type(error) is BelljarError
    assert str(error) == (
        "the interpreter does not start inside the sandbox: Exec format error (/x)"
    )


def test_an_unknown_step_is_a_defect_of_ours() -> None:
    error = refusal(["error", "plan", str(errno.EINVAL), "word 7"])
    assert type(error) is InternalError
    assert str(error) == "keeper: plan: Invalid argument (word 7)"


def test_where_somebody_listens_already_the_remedy_is_not_another_kernel() -> None:
    error = refusal(["error", "seccomp", str(errno.EBUSY), "filter"])
    assert isinstance(error, Unenforceable)
    assert "without --connect" in str(error)
    assert "use a kernel" not in str(error)
    assert "use a kernel" in str(refusal(["error", "seccomp", str(errno.EINVAL), "filter"]))
