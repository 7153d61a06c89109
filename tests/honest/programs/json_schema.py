# needs: jsonschema
# flags: --import jsonschema
# prints: '1' is not of type 'integer' ['n']
import jsonschema

schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
jsonschema.validate({"n": 1}, schema)
try:
    jsonschema.validate({"n": "1"}, schema)
except jsonschema.ValidationError as error:
    print(error.message, list(error.path))
