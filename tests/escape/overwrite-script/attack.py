import os

from arms import any_works, attempt, native


@attempt
def deed():
    box = os.path.dirname(os.path.abspath(__file__))
    return any_works(
        *(
            lambda n=n: os.write(
                native("open", f"{box}/{n}".encode(), os.O_WRONLY | os.O_APPEND), b"#"
            )
            for n in ("arms.py", "attack.py")
        )
    )
