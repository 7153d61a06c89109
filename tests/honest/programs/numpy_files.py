# needs: numpy
# flags: --import numpy --read {out} --write {out} --read {data}
# args: {data} {out}
# prints: 42 ('region', 'amount')
# prints: 45 ['x', 'y']
# prints: 7000 3
import sys

import numpy as np

data, out = sys.argv[1:]
table = np.genfromtxt(f"{data}/sales.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")
print(table["amount"].sum(), table.dtype.names)
np.save(f"{out}/a.npy", np.arange(10))
np.savez_compressed(f"{out}/b.npz", x=np.ones(3), y=np.zeros((2, 2)))
print(np.load(f"{out}/a.npy").sum(), sorted(np.load(f"{out}/b.npz").files))
m = np.memmap(f"{out}/c.bin", dtype="int32", mode="w+", shape=(1000,))
m[:] = 7
m.flush()
print(np.fromfile(f"{out}/c.bin", dtype="int32").sum(), np.load(f"{out}/a.npy", mmap_mode="r")[3])
