"""Pictures are drawn from the example runs of the report's tests."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def examples() -> ModuleType:
    path = Path(__file__).parents[1] / "report" / "examples.py"
    spec = importlib.util.spec_from_file_location("report_examples", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
