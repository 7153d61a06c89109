# flags: --write {out} --read {out}
# args: {out}
# prints: INFO:job:one
# prints: WARNING:job:two
# prints: 2
import logging
import logging.handlers
import sys

handler = logging.handlers.RotatingFileHandler(
    sys.argv[1] + "/job.log", maxBytes=10_000, backupCount=1
)
logging.basicConfig(
    handlers=[handler], level=logging.INFO, format="%(levelname)s:%(name)s:%(message)s"
)
log = logging.getLogger("job")
log.info("one")
log.warning("two")
logging.shutdown()
with open(sys.argv[1] + "/job.log") as file:
    lines = file.read()
print(lines, end="")
print(lines.count("\n"))
