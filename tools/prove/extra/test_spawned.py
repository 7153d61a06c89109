"""`test_multiprocessing_spawn` for installations that leave the package out (3.11, 3.12)."""

import test._test_multiprocessing as suite

suite.install_tests_in_module_dict(globals(), "spawn")
