# flags:
# prints: return n + n (n)
# prints: 9 True
import ast
import inspect
import sys


def twice(n):
    return n + n


print(inspect.getsource(twice).splitlines()[1].strip(), inspect.signature(twice))


class Triple(ast.NodeTransformer):
    def visit_Add(self, node):
        return ast.Mult()


space = {}
made = ast.fix_missing_locations(Triple().visit(ast.parse(inspect.getsource(twice))))
exec(compile(made, "<made>", "exec"), space)
print(space["twice"](3), inspect.getmodule(twice) is sys.modules["__main__"])
