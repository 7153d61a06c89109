# flags: --read {out} --write {out}
# args: {out}
# prints: True 8080
# prints: {'name': 'x', 'when': datetime.date(2026, 1, 2)}
# prints: []
import configparser
import sys
import tomllib

path = f"{sys.argv[1]}/settings.ini"
config = configparser.ConfigParser()
config["server"] = {"host": "localhost", "port": "8080"}
with open(path, "w") as file:
    config.write(file)
again = configparser.ConfigParser()
print(again.read(path) == [path], again.getint("server", "port"))
print(tomllib.loads('[tool]\nname = "x"\nwhen = 2026-01-02')["tool"])
print(again.read("/nonexistent/settings.ini"))
