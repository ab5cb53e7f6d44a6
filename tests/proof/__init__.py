import pytest

# What they compare is shown when it differs.
pytest.register_assert_rewrite("tests.proof.telling", "tests.proof.story")
