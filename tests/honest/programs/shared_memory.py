# flags: --processes 6 --import ctypes
# prints: [1, 2, 3] True
# prints: 40 gone
from multiprocessing import Process, Value, get_context, shared_memory


def fill(name):
    memory = shared_memory.SharedMemory(name)
    memory.buf[:3] = bytes((1, 2, 3))
    memory.close()


def count(value):
    for _ in range(10):
        with value.get_lock():
            value.value += 1


if __name__ == "__main__":
    memory = shared_memory.SharedMemory(create=True, size=4096)
    child = get_context("spawn").Process(target=fill, args=(memory.name,))
    child.start()
    child.join()
    print(list(memory.buf[:3]), memory.size >= 4096)
    memory.close()
    memory.unlink()
    value = Value("i", 0)
    children = [Process(target=count, args=(value,)) for _ in range(4)]
    for one in children:
        one.start()
    for one in children:
        one.join()
    try:
        shared_memory.SharedMemory(memory.name)
    except FileNotFoundError:
        print(value.value, "gone")
