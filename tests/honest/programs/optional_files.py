# flags:
# prints: fell back fell back
import configparser
import os

found = configparser.ConfigParser().read(
    [os.path.expanduser("~/.nothing.cfg"), "/etc/nothing/here.cfg"]
)
try:
    with open("/etc/nothing/here") as file:
        text = file.read()
except FileNotFoundError:
    text = "fell back"
print("fell back" if not found else found, text)
