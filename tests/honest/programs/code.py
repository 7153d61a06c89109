# flags:
# form: code "import sys; print(sys.argv[0], sum(map(int, sys.argv[1:]))); print(compile.__self__ and (lambda: 0).__code__.co_filename)"
# args: 1 2
# prints: -c 3
# prints: <string>

