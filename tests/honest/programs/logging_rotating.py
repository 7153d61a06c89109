# flags: --read {out} --write {out}
# args: {out}
# prints: ['app.log', 'app.log.1', 'app.log.2']
import logging.handlers
import os
import sys

handler = logging.handlers.RotatingFileHandler(
    f"{sys.argv[1]}/app.log", maxBytes=200, backupCount=2
)
log = logging.getLogger("app")
log.addHandler(handler)
log.setLevel(logging.INFO)
for number in range(30):
    log.info("line number %d", number)
handler.close()
print(sorted(os.listdir(sys.argv[1])))
