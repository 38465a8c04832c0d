"""What a deployed application is told, and where its workflows are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import Misconfigured
from infra.aws.deployed import APP_ENVIRONMENT, app_environment, workflow_files


def test_an_application_is_given_variables_and_secrets() -> None:
    given = app_environment({APP_ENVIRONMENT: '{"SHOP": "7", "TIDESTEP_SECRET_KEY": "k"}'})
    assert given == {"SHOP": "7", "TIDESTEP_SECRET_KEY": "k"}


@pytest.mark.parametrize("environment", [{}, {APP_ENVIRONMENT: ""}, {APP_ENVIRONMENT: " {} "}])
def test_it_may_be_given_nothing(environment: dict[str, str]) -> None:
    assert app_environment(environment) == {}


@pytest.mark.parametrize("text", ["SHOP=7", "[]", '{"SHOP": 7}', '{"SHOP": {"a": "b"}}'])
def test_what_is_no_object_of_texts_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(Misconfigured, match=r'TIDESTEP_APP_ENVIRONMENT must be .*{"SHOP": "7"}'):
        app_environment({APP_ENVIRONMENT: text})


@pytest.mark.parametrize("name", ["TIDESTEP_TABLE", "AWS_REGION", "LAMBDA_TASK_ROOT"])
def test_it_cannot_redirect_the_function_itself(name: str) -> None:
    with pytest.raises(Misconfigured, match=f"cannot set {name}"):
        app_environment({APP_ENVIRONMENT: f'{{"{name}": "x"}}'})


def test_workflows_are_looked_for_where_modules_are(tmp_path: Path) -> None:
    ours, layer = tmp_path / "task", tmp_path / "layer"
    for file in ("task/one.yaml", "layer/one.yaml", "layer/shop/b.yml", "layer/shop/a.json"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    for other in ("actors.py", ".b.yml"):
        (layer / "shop" / other).touch()
    (layer / "shop" / "old.yaml").mkdir()
    (layer / "shop" / ".#a.json").symlink_to("ada@desk:7")
    found = workflow_files(["one.yaml", "shop"], [str(ours), str(layer)])
    assert found == [ours / "one.yaml", layer / "shop" / "a.json", layer / "shop" / "b.yml"]


def test_a_file_that_is_listed_twice_is_there_once(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "order.yaml").touch()
    found = workflow_files(["shop/order.yaml", "shop", "./shop"], [str(tmp_path)])
    assert found == [tmp_path / "shop" / "order.yaml"]


def test_a_workflow_that_is_nowhere_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="'shop', which is not in the application"):
        workflow_files(["shop"], [str(tmp_path)])


def test_a_directory_without_workflows_is_named(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    with pytest.raises(Misconfigured, match="'shop', where no workflow is"):
        workflow_files(["shop"], [str(tmp_path)])
