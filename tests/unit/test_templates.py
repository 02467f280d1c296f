from __future__ import annotations

import numpy as np
import pytest
from pymilvus.client.prepare import Prepare

from headrace.errors import ConfigError
from headrace.operations.templates import template_values


@pytest.mark.parametrize(
    "value",
    [True, 7, -(2**63), 0.5, "text", [], [True, False], [1, 2], [0.5, 1.5], ["a", "b"], [[1], [2, 3]], [["a"], [1]]],
)
def test_values_are_those_that_pymilvus_sends(value):
    theirs = Prepare.prepare_expression_template({"x": value})["x"]
    assert template_values({"x": value})["x"].SerializeToString() == theirs.SerializeToString()


def test_arrays_tuples_and_mixed_lists_have_a_form():
    found = template_values({"a": np.array([1, 2]), "b": (1, 2.5), "c": [1, "x"], "d": np.float32(0.5)})
    assert list(found["a"].array_val.long_data.data) == [1, 2]
    assert list(found["b"].array_val.double_data.data) == [1, 2.5]
    assert list(found["c"].array_val.json_data.data) == [b"1", b'"x"']
    assert found["d"].float_val == 0.5


def test_nothing_is_no_values():
    assert template_values(None) == {}


@pytest.mark.parametrize("value", [None, {"a": 1}, object, 2**63, [2**64], [None]])
def test_other_values_are_refused_by_name(value):
    with pytest.raises(
        ConfigError, match=r"filter_params\['x'\]: expected a bool, a 64-bit integer, a float, a text or"
    ):
        template_values({"x": value})
