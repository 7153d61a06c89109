# flags: --import numpy
# prints: [2. 3.] 3 True
# prints: 5.0
import numpy as np

a = np.array([[3.0, 1.0], [1.0, 2.0]])
x = np.linalg.solve(a, np.array([9.0, 8.0]))
print(x, np.linalg.matrix_rank(np.eye(3)), bool(np.allclose(a @ np.linalg.inv(a), np.eye(2))))
print(float(np.sort(np.random.default_rng(1).permutation(11))[5]))
