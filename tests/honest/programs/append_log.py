# flags: --append {out}/kept.log --read {data}
# args: {out}/kept.log
# prints: logged
import logging
import sys

handler = logging.FileHandler(sys.argv[1])
logger = logging.getLogger("app")
logger.addHandler(handler)
for number in range(1000):
    logger.warning("entry %d", number)
handler.close()
with open(sys.argv[1], "ab") as file:
    file.write(b"last\n")
print("logged")
