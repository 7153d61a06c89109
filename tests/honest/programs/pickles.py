# flags: --bytecode
# prints: {'a': [1, 2.5, None]} <Thing 3> True
import copy
import marshal
import pickle
import shelve
import tempfile


class Thing:
    def __init__(self, n):
        self.n = n

    def __repr__(self):
        return f"<Thing {self.n}>"


value = {"a": [1, 2.5, None]}
with shelve.open(tempfile.mkdtemp() + "/shelf") as shelf:
    shelf["x"] = value
    kept = shelf["x"] == value
print(
    pickle.loads(pickle.dumps(value)),
    copy.deepcopy(pickle.loads(pickle.dumps(Thing(3)))),
    kept and marshal.loads(marshal.dumps(value)) == value,
)
