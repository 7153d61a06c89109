# flags:
# prints: Help on built-in function len in module builtins:
# prints: True
import io
import pydoc

pydoc.Helper(output=(out := io.StringIO())).help("len")
print(out.getvalue().splitlines()[0])
print("help" in dir(__import__("builtins")))
