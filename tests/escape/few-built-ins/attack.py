(kind,) = [c for c in ().__class__.__base__.__subclasses__() if c.__name__ == "BuiltinImporter"]
found = kind.load_module("builtins").__dict__
system = found["__import__"]("sys")
facts = found["__import__"]("json").loads(system.argv[1])
try:
    found["print"](found["open"](facts["secret"]).read())
except found["OSError"] as error:
    found["print"]("BLOCKED", found["__import__"]("errno").errorcode[error.errno])
