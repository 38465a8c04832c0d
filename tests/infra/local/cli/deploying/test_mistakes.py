"""What keeps `tidestep deploy` from deploying is said in one line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.infra.local.cli.conftest import Tidestep
from tests.infra.local.cli.deploying.conftest import Calls


@pytest.mark.parametrize("option", ["--stack-name=other", "--region", "--config-env"])
def test_which_stack_it_is_is_not_said_to_sam_alone(
    project: Path, calls: Calls, tidestep: Tidestep, option: str
) -> None:
    ran = tidestep("deploy", "--", option, "x")
    assert ran.code == 2
    assert "is said before the --: as --stack, --region or --config-env" in ran.err
    assert calls() == []


def test_a_project_that_cannot_run_is_not_built_unless_it_must_be(
    project: Path, calls: Calls, tidestep: Tidestep
) -> None:
    workflow = project / "app" / "shop" / "workflows" / "order.yaml"
    workflow.write_text(workflow.read_text().replace("actor: shop.price", "actor: shop.prize"))
    ran = tidestep("deploy")
    assert (ran.code, ran.out) == (3, "")
    assert calls() == []
    assert tidestep("deploy", "--no-check").code == 0
    assert len(calls()) == 2


def test_a_check_that_dies_is_not_one_that_has_said_why(
    project: Path, calls: Calls, tidestep: Tidestep
) -> None:
    actors = project / "app" / "shop" / "actors.py"
    actors.write_text(f"{actors.read_text()}\nimport os\nos.kill(os.getpid(), 9)\n")
    ran = tidestep("deploy")
    assert (ran.code, calls()) == (3, [])
    assert "cannot run as it is: `tidestep validate` was ended by signal 9; with" in ran.err


def test_what_only_cloudformation_knows_is_deployed_unchecked(
    project: Path, calls: Calls, tidestep: Tidestep
) -> None:
    template = project / "template.yaml"
    template.write_text(template.read_text().replace("shop.actors", "!Ref Actors"))
    ran = tidestep("deploy")
    assert ran.code == 0
    assert "not checked: template.yaml does not give Actors in plain text\n" in ran.err


@pytest.mark.parametrize("step", ["build", "deploy"])
def test_a_step_that_fails_is_named_in_one_line(
    project: Path,
    calls: Calls,
    tidestep: Tidestep,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    monkeypatch.setenv("FAILS", step)
    ran = tidestep("deploy")
    assert (ran.code, ran.out) == (6, "")
    assert ran.err.splitlines()[-1] == (
        f"error: `sam {step}` ended with exit code 3; why is said above"
    )
    assert "Traceback" not in ran.err
    assert len(calls()) == (1 if step == "build" else 2)


def test_without_sam_it_says_what_to_install(
    project: Path, tidestep: Tidestep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    ran = tidestep("deploy")
    assert ran.code == 6
    assert ran.err == (
        "error: the SAM CLI builds and deploys, and it is not installed: pip install aws-sam-cli\n"
    )


@pytest.mark.parametrize("words", [("deploy",), ("deploy", "--prepare")])
def test_a_directory_without_a_template_is_no_project(
    directory: Path, calls: Calls, tidestep: Tidestep, words: tuple[str, ...]
) -> None:
    ran = tidestep(*words)
    assert ran.code == 4
    assert ran.err == (
        "error: there is no template.yaml here: go to the directory of your project, or make one "
        "with `tidestep init NAME`\n"
    )
    assert calls() == []
    assert not (directory / ".tidestep").exists()


def test_a_template_that_does_not_nest_ours_is_no_project(
    directory: Path, calls: Calls, tidestep: Tidestep
) -> None:
    (directory / "template.yaml").write_text("Resources:\n  A: {Type: 'AWS::SQS::Queue'}\n")
    ran = tidestep("deploy")
    assert ran.code == 4
    assert "no resource whose Location is .tidestep/infra/stack/template.yaml" in ran.err


def test_a_template_that_is_no_yaml_is_an_error(
    directory: Path, calls: Calls, tidestep: Tidestep
) -> None:
    (directory / "template.yaml").write_text("Resources: [\n")
    ran = tidestep("deploy")
    assert ran.code == 6
    assert ran.err.startswith("error: template.yaml cannot be read: ")


def test_a_part_that_the_configuration_does_not_have_is_told_before_building(
    project: Path, calls: Calls, tidestep: Tidestep
) -> None:
    ran = tidestep("deploy", "--config-env", "live")
    assert ran.code == 2
    assert "samconfig.toml has no 'live', but default, prod" in ran.err
    assert calls() == []
