# needs: numpy
# flags: --import numpy
# prints: 5
# prints: True (60,)
# prints: [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
# prints: [1.0, 2.0]
import numpy as np

signal = np.sin(2 * np.pi * 5 * np.arange(256) / 256)
print(int(np.abs(np.fft.rfft(signal)).argmax()))
m = np.random.default_rng(3).normal(size=(60, 60))
u, s, v = np.linalg.svd(m)
print(bool(np.allclose(u * s @ v, m)), s.shape)
print(np.einsum("ij,jk->ik", np.eye(2), np.ones((2, 3))).tolist())
print(np.polynomial.Polynomial.fit([0, 1, 2], [1, 3, 5], 1).convert().coef.round(6).tolist())
