# flags:
# prints: Grüße ['multipart/mixed', 'text/plain', 'application/octet-stream']
# prints: x.bin
import email
import email.policy
from email.message import EmailMessage

message = EmailMessage()
message["Subject"] = "Grüße"
message["To"] = "a@example.com, b@example.com"
message.set_content("Hello\n")
message.add_attachment(
    b"\x00\x01", maintype="application", subtype="octet-stream", filename="x.bin"
)
again = email.message_from_bytes(bytes(message), policy=email.policy.default)
print(again["subject"], [part.get_content_type() for part in again.walk()])
print(next(again.iter_attachments()).get_filename())
