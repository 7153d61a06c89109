# flags:
# stderr: same
# prints:
import warnings

warnings.warn("old ways", stacklevel=1)
