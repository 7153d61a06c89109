# flags:
# prints: 2 1 0
import io
import unittest
from unittest import mock


class Case(unittest.TestCase):
    def test_good(self):
        with mock.patch("os.getcwd", return_value="/there"):
            self.assertEqual(__import__("os").getcwd(), "/there")

    def test_bad(self):
        self.assertEqual(1, 2)


suite = unittest.defaultTestLoader.loadTestsFromTestCase(Case)
result = unittest.TextTestRunner(io.StringIO()).run(suite)
print(result.testsRun, len(result.failures), len(result.errors))
