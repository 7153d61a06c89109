# flags: --import cryptography
# prints: 422ef70e9d7a086b
# prints: not ours
# prints: b'secret'
from cryptography.exceptions import InvalidSignature
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
signature = key.sign(b"text")
print(signature.hex()[:16])
key.public_key().verify(signature, b"text")
try:
    key.public_key().verify(signature, b"other")
except InvalidSignature:
    print("not ours")
box = Fernet(Fernet.generate_key())
print(box.decrypt(box.encrypt(b"secret")))
