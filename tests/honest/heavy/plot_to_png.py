# needs: matplotlib
# flags: --import matplotlib --read {out} --write {out} --memory 2GiB --env MPLCONFIGDIR=/tmp
# env: MPLCONFIGDIR=/tmp
# args: {out}
# denials: some
# prints: True
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(3, 2))
axes.plot([1, 2, 3], [2, 3, 5], label="growth")
axes.set_title("Sales")
axes.legend()
figure.savefig(f"{sys.argv[1]}/plot.png")
with open(f"{sys.argv[1]}/plot.png", "rb") as file:
    print(file.read(8) == b"\x89PNG\r\n\x1a\n")
