# flags:
# prints: 16 cfbff0d1-9375-5685-968c-48ce8b15ae17 4
# prints: a56bc324cc65bdde zng0zjrTzlUg
# prints: 13a6893e 891568578
# prints: 100
import base64
import hashlib
import hmac
import secrets
import uuid
import zlib

print(
    len(secrets.token_hex(8)), uuid.uuid5(uuid.NAMESPACE_DNS, "example.com"), uuid.uuid4().version
)
key = hashlib.pbkdf2_hmac("sha256", b"pass", b"salt", 1000)
print(hmac.new(key, b"text", "sha512").hexdigest()[:16], base64.urlsafe_b64encode(key[:9]).decode())
print(hashlib.scrypt(b"p", salt=b"s", n=16, r=1, p=1).hex()[:8], zlib.crc32(b"abc"))
print(len({secrets.randbits(64) for _ in range(100)}))
