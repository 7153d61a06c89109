# flags: --append {out}
# args: {out}
# prints: logged
import csv
import logging
import os
import sys

os.chdir(sys.argv[1])
handler = logging.FileHandler("app.log")
logger = logging.getLogger("app")
logger.addHandler(handler)
for number in range(1000):
    logger.warning("entry %d", number)
handler.close()
with open("rows.csv", "x", newline="") as file:
    csv.writer(file).writerows([[1, 2], [3, 4]])
for number in range(20):
    with open("rows.csv", "a") as file:
        file.write(f"{number}\n")
try:
    open("rows.csv", "x").close()
except FileExistsError:
    print("logged")
