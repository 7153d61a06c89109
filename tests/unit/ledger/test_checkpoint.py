"""The text of checkpoints."""

from __future__ import annotations

import pytest

from belljar.ledger.tree.checkpoint import Checkpoint, ours, parse
from belljar.ledger.tree.note import NoteMalformed

# C2SP tlog-checkpoint, the example at its beginning.
SPEC = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
ROOT = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="


def test_the_example_of_the_specification_is_read_and_written() -> None:
    found = parse(SPEC)
    assert (found.origin, found.size) == ("example.com/behind-the-sofa", 20852163)
    assert found.root.hex().startswith("0ac5186a91863e8e")
    assert found.render() == SPEC
    assert (found.epoch, found.time) == (None, None)


def test_ours_say_epoch_and_time() -> None:
    made = ours("belljar.ledger/00", 7, bytes(32), 3, 1234567890)
    assert made.render().split("\n")[3:] == ["belljar epoch 3", "belljar time 1234567890", ""]
    found = parse(made.render())
    assert found == made
    assert (found.epoch, found.time) == (3, 1234567890)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n1\n",
        f"a\n1\n{ROOT}",
        f"\n1\n{ROOT}\n",
        f"a\n01\n{ROOT}\n",
        f"a\n-1\n{ROOT}\n",
        f"a\n+1\n{ROOT}\n",
        f"a\n1 \n{ROOT}\n",
        f"a\n١\n{ROOT}\n",
        f"a\n\n{ROOT}\n",
        f"a\n{1 << 63}\n{ROOT}\n",
        f"a\n{'9' * 5000}\n{ROOT}\n",
        f"a\n1\n{ROOT[:-2]}J=\n",
        f"a\n1\n{ROOT[:-4]}\n",
        f"a\n1\n{ROOT} \n",
        "a\n1\nAAAA\n",
        f"a\n1\n{ROOT}\n\n",
        f"a\n1\n{ROOT}\n\nextension\n",
        f"a\n1\n{ROOT}\n" + "x\n" * 100,
    ],
)
def test_what_is_not_exactly_a_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(NoteMalformed):
        parse(text)


@pytest.mark.parametrize(
    "wrong",
    [
        Checkpoint("", 1, bytes(32)),
        Checkpoint("a\nb", 1, bytes(32)),
        Checkpoint("a", -1, bytes(32)),
        Checkpoint("a", 1 << 63, bytes(32)),
        Checkpoint("a", 1, bytes(31)),
        Checkpoint("a", 1, bytes(32), ("",)),
        Checkpoint("a", 1, bytes(32), ("x\ny",)),
    ],
)
def test_what_no_checkpoint_can_say_is_not_written(wrong: Checkpoint) -> None:
    with pytest.raises(ValueError, match="checkpoint"):
        wrong.render()


@pytest.mark.parametrize("line", ["belljar epoch -1", "belljar epoch 1x", "belljar epoch "])
def test_an_extension_line_that_is_no_number_says_nothing(line: str) -> None:
    assert Checkpoint("a", 1, bytes(32), (line,)).epoch is None
