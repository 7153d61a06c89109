# needs: pydantic
# flags: --import pydantic
# prints: name='a' age=3 4
# prints: 1 greater_than_equal
from pydantic import BaseModel, Field, ValidationError


class User(BaseModel):
    name: str
    age: int = Field(ge=0)


print(User(name="a", age="3"), User.model_validate_json('{"name": "b", "age": 4}').age)
try:
    User(name="c", age=-1)
except ValidationError as error:
    print(error.error_count(), error.errors()[0]["type"])
