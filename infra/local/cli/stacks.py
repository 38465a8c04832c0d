"""What a deployed stack says of itself: its outputs, and what commands with `--aws` need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.errors import Misconfigured, PlatformError
from infra.local.cli.chosen import Chosen, clients_of
from infra.local.cli.exits import NotThere

VARIABLES: Mapping[str, str] = {
    "TIDESTEP_TABLE": "TableName",
    "TIDESTEP_QUEUE_URL": "QueueUrl",
    "TIDESTEP_BUCKET": "BucketName",
}
"""Variable -> the output of the stack that it is set to."""
STANDING = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")


@dataclass(frozen=True, slots=True)
class DeployedStack:
    """A stack that is there, with its outputs."""

    name: str
    region: str
    outputs: Mapping[str, str]
    status: str = ""
    changed_at: str = ""
    """When it was made, or last changed: only to be compared."""

    @property
    def stands(self) -> bool:
        """Whether its last change has gone through."""
        return self.status in STANDING

    def environment(self) -> dict[str, str]:
        """The variables that commands with `--aws` read. Raises Misconfigured."""
        missing = [each for each in VARIABLES.values() if each not in self.outputs]
        if missing:
            raise Misconfigured(
                f"stack '{self.name}' has no output {', '.join(missing)}: pass them on from the "
                "stack that it nests, as the template of `tidestep init` does"
            )
        told = {variable: self.outputs[output] for variable, output in VARIABLES.items()}
        return {**told, "AWS_REGION": self.region}


async def deployed_stack(chosen: Chosen) -> DeployedStack:
    """Ask CloudFormation. Raises NotThere for a stack that is not, Misconfigured, StoreUnusable."""
    clients = clients_of(chosen)
    try:
        client = await clients.later("cloudformation")
        answer = await client.call("describe_stacks", StackName=chosen.stack)
    except PlatformError as error:
        if "does not exist" in str(error):
            raise NotThere(
                f"there is no stack '{chosen.stack}' in this account and region: "
                "`tidestep deploy` makes it"
            ) from error
        raise
    finally:
        clients.close()
    stack = answer["Stacks"][0]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", ())}
    changed_at = str(stack.get("LastUpdatedTime", stack.get("CreationTime", "")))
    region = stack["StackId"].split(":")[3]
    return DeployedStack(stack["StackName"], region, outputs, stack["StackStatus"], changed_at)
