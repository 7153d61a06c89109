"""What fails while a template is made is told with its place, and what to do."""

from __future__ import annotations

import pytest

import belljar


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"modules": ["json", "nosuchmodule"]},
            "modules=['nosuchmodule']: ModuleNotFoundError: No module named 'nosuchmodule'; it has "
            "to be installed for the template's python=",
        ),
        (
            {"setup": "x = 1\ndef f():\n    1 / 0\n\nf()"},
            "setup= line 5: ZeroDivisionError: division by zero",
        ),
        ({"setup": "x = 1\ndef"}, "setup= line 2: SyntaxError: invalid syntax"),
        (
            {"setup": "open('/srv/none')"},
            "setup= line 1: FileNotFoundError: [Errno 2] No such file or directory: '/srv/none'; a "
            "template sees its interpreter and nothing else: do it in the sandboxes",
        ),
        (
            {"setup": "import threading\nwait = threading.Event().wait\n"
                      "threading.Thread(target=wait, daemon=True).start()"},
            "RuntimeError: what was imported or set up keeps a thread running: start it in the "
            "sandboxes",
        ),
    ],
)  # fmt: skip
def test_an_error_of_a_template_says_where_and_what_to_do(given: dict, said: str) -> None:
    template = belljar.Template(**given)
    with pytest.raises(belljar.TemplateError) as caught:
        template.start()
    template.close()
    assert str(caught.value) == f"the template: {said}"
    assert "Traceback" in str(caught.value.__cause__)
