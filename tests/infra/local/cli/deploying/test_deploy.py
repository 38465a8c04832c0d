"""What `tidestep deploy` asks of the SAM CLI, and says of what came of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local.cli.chosen import chosen_stack
from tests.infra.local.cli.conftest import ROOT, Tidestep, eventually
from tests.infra.local.cli.deploying.conftest import Calls, CloudFormation, add_sam

pytestmark = pytest.mark.thorough


def test_it_lays_out_builds_deploys_and_says_how_to_start_a_run(
    project: Path, calls: Calls, tidestep: Tidestep
) -> None:
    ran = tidestep("deploy")
    assert ran.code == 0
    assert calls() == ["build --config-env default", "deploy --config-env default"]
    assert (project / ".tidestep" / "infra" / "stack" / "template.yaml").exists()
    assert ran.out.splitlines() == [
        "stack 'shop-dev' in eu-west-1 is deployed",
        "its API, for signed requests: https://a1.execute-api.eu-west-1.amazonaws.com",
        "to start a run:",
        '  eval "$(tidestep env)"',
        "  tidestep start app/shop/workflows/order.yaml --actors shop.actors "
        """--input '{"item": "cup", "quantity": 2}' --aws""",
    ]


def deploying() -> subprocess.Popen[str]:
    """In a process of its own, and a group of its own, as a shell starts one."""
    return subprocess.Popen(
        [sys.executable, "-m", "infra.local.cli", "deploy"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heed_interrupts,
    )


def heed_interrupts() -> None:
    """What a shell starts in the background ignores Ctrl-C, and all that it starts does."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_what_sam_says_goes_to_stderr_as_it_comes(project: Path, calls: Calls) -> None:
    process = deploying()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out.startswith("stack 'shop-dev'")
    assert err.startswith("$ tidestep validate\nok: workflow 'order' with 5 nodes, 5 edges\n")
    said = [line for line in err.splitlines() if "sam" in line]
    assert said == [
        "$ sam build --config-env default",
        "sam says: build",
        "$ sam deploy --config-env default",
        "sam says: deploy",
    ]


def test_ctrl_c_lets_sam_end_by_itself(
    project: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LASTS", "1")
    process = deploying()
    eventually(lambda: calls() == ["build --config-env default"])
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "\nsam ends by itself\n" in err
    assert "Traceback" not in err
    assert len(calls()) == 1


def test_production_is_another_part_of_the_configuration(
    project: Path, calls: Calls, tidestep: Tidestep
) -> None:
    ran = tidestep("deploy", "--config-env", "prod")
    assert calls() == ["build --config-env prod", "deploy --config-env prod"]
    assert ran.out.startswith("stack 'shop' in eu-west-1 is deployed\n")
    assert 'eval "$(tidestep env --config-env prod)"' in ran.out


def test_options_go_on_to_sam(project: Path, calls: Calls, tidestep: Tidestep) -> None:
    ran = tidestep(
        "deploy", "--guided", "--stack", "try", "--region", "eu-west-1", "--", "--no-rollback", "-x"
    )
    assert ran.code == 0
    assert calls()[1] == (
        "deploy --config-env default --stack-name try --region eu-west-1 --guided --no-rollback -x"
    )
    assert ran.out.startswith("stack 'try' in eu-west-1 is deployed\n")
    assert 'eval "$(tidestep env --stack try --region eu-west-1)"' in ran.out


def test_the_python_that_runs_is_the_first_that_sam_finds(
    project: Path, calls: Calls, tidestep: Tidestep
) -> None:
    tidestep("deploy")
    assert calls.path[0] == str(Path(sys.executable).parent)


def test_the_sam_beside_the_python_goes_before_the_one_on_the_path(
    project: Path,
    calls: Calls,
    tidestep: Tidestep,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    beside = Calls(tmp_path / "beside-calls")
    add_sam(tmp_path / "venv", beside)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "python"))
    tidestep("deploy", "--no-check")  # there is no such Python
    assert (len(beside()), calls()) == (2, [])


def test_preparing_needs_neither_sam_nor_an_account(
    project: Path, tidestep: Tidestep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    first, second = tidestep("deploy", "--prepare"), tidestep("deploy", "--prepare")
    assert (first.code, first.out) == (0, "")
    assert first.err.startswith(".tidestep/ is as installed: ")
    assert second.err == ".tidestep/ is as installed: 0 files changed\n"
    assert (project / ".tidestep" / "infra" / "stack" / "Makefile").exists()


def test_a_template_of_other_words_has_no_command_to_copy(
    project: Path, calls: Calls, tidestep: Tidestep
) -> None:
    template = project / "template.yaml"
    template.write_text(
        template.read_text().replace("Actors: shop.actors", "Actors: !Ref StatefulActors")
    )
    ran = tidestep("deploy")
    assert ran.out.splitlines()[-1] == "  tidestep start FILE --actors MODULE --aws"


def test_changes_that_were_declined_are_not_called_deployed(
    project: Path, calls: Calls, tidestep: Tidestep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SAM CLI ends well when somebody answers no; a first deploy then stands half made."""
    monkeypatch.setattr(CloudFormation, "status", "REVIEW_IN_PROGRESS")
    ran = tidestep("deploy")
    assert ran.code == 6
    assert "is not deployed, it is REVIEW_IN_PROGRESS" in ran.err


def test_a_deploy_that_has_changed_nothing_says_so(
    project: Path, calls: Calls, tidestep: Tidestep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CloudFormation, "changes", False)
    ran = tidestep("deploy")
    assert ran.code == 0
    assert ran.out.startswith("stack 'shop-dev' in eu-west-1 is as it was: nothing was deployed\n")


def test_a_profile_of_samconfig_is_whose_account_is_looked_at(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "")
    monkeypatch.delenv("AWS_PROFILE")
    config = project / "samconfig.toml"
    config.write_text(config.read_text().replace("stack_name", 'profile = "shop"\nstack_name'))
    chosen_stack(None, None, "default")
    assert os.environ["AWS_PROFILE"] == "shop"
