# flags:
# prints: True True 0
import gc
import weakref


class Node:
    pass


a, b = Node(), Node()
a.other, b.other = b, a
ref = weakref.ref(a)
alive = ref() is a
del a, b
gc.collect()
print(alive, ref() is None, len(gc.garbage))
