# denials: some
# needs: hypothesis
# flags: --import hypothesis
# env: HYPOTHESIS_STORAGE_DIRECTORY=/tmp
# prints: True
from hypothesis import given, settings
from hypothesis import strategies as st

seen = []


@settings(max_examples=50, database=None, deadline=None)
@given(st.lists(st.integers()))
def check(numbers):
    seen.append(numbers)
    assert sorted(sorted(numbers)) == sorted(numbers)


check()
print(len(seen) == 50)
