"""A graded class and an nbgrader course, made once for all tests that look at them."""

import pytest

from tests.release.courses import Class, Course, make_class, run_course


@pytest.fixture(scope="session")
def class_(tmp_path_factory: pytest.TempPathFactory) -> Class:
    return make_class(tmp_path_factory.mktemp("class"))


@pytest.fixture(scope="session")
def course(class_: Class, tmp_path_factory: pytest.TempPathFactory) -> Course:
    pytest.importorskip("nbgrader", reason="nbgrader is not installed: pip install -e '.[nbgrader]'")
    return run_course(tmp_path_factory.mktemp("nbgrader") / "course", class_)
