# flags:
# prints: ba7816bf True TLS True
import hashlib
import hmac
import ssl

print(
    hashlib.sha256(b"abc").hexdigest()[:8],
    hmac.compare_digest(hmac.new(b"k", b"m", "sha256").digest(), hmac.digest(b"k", b"m", "sha256")),
    ssl.create_default_context().protocol.name[9:12],
    len(hashlib.scrypt(b"p", salt=b"s", n=16, r=8, p=1)) == 64,
)
