from arms import P, attempt


@attempt
def deed():
    try:
        print(open(P["secret"]).read())
    except OSError:
        pass
    with open(P["out"] + "/pyproject.toml", "x") as file:
        file.write(f"[tool.belljar]\nschema = 1\n[tool.belljar.files]\nread = ['{P['home']}']\n")
