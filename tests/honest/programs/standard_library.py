# flags:
# prints: imported all
import importlib
import warnings

warnings.simplefilter("ignore")
for name in (
    "abc argparse array ast asyncio base64 bisect bz2 calendar cmd code codecs collections colorsys compileall concurrent.futures contextlib "
    "contextvars copy cProfile csv datetime dbm decimal difflib dis doctest email.message email.mime.text encodings enum errno faulthandler fcntl "
    "filecmp fileinput fnmatch fractions ftplib functools gc getopt getpass gettext glob graphlib grp gzip hashlib heapq hmac html.parser "
    "http.client http.server imaplib importlib.resources inspect io ipaddress itertools json keyword linecache locale logging.config lzma mailbox "
    "marshal math mimetypes mmap multiprocessing netrc numbers operator optparse os pathlib pdb pickle pickletools pkgutil platform plistlib poplib "
    "posixpath pprint profile pstats pty pwd py_compile pyclbr queue quopri random re readline reprlib resource runpy sched secrets select "
    "selectors shelve shlex shutil signal site smtplib socket socketserver sqlite3 ssl stat statistics string struct subprocess symtable "
    "sysconfig syslog tabnanny tarfile tempfile termios textwrap threading time timeit tokenize tomllib trace traceback tracemalloc tty "
    "types typing unicodedata unittest urllib.request uuid venv warnings wave weakref webbrowser wsgiref.simple_server xml.dom.minidom "
    "xml.etree.ElementTree xml.sax xmlrpc.client zipapp zipfile zipimport zlib zoneinfo"
).split():
    importlib.import_module(name)
print("imported all")
