# flags: --env GREETING=hi --env PASSED
# env: GREETING=hi PASSED=through
# prints: hi through
import os

print(os.environ["GREETING"], os.environ["PASSED"])
