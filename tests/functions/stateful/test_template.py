"""What the template must say for stateful actors, and that without them it makes none of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from infra.aws.allocation import SETTINGS
from infra.aws.holders import RESERVE_S
from tests.functions.conftest import properties
from tests.functions.templates import statements_of

OURS = ("GatewayFunction", "RunnersFunction", "PoolFunction")


def of_type(template: dict[str, Any], kind: str) -> set[str]:
    return {name for name, each in template["Resources"].items() if each["Type"] == kind}


def test_nothing_of_it_is_made_where_no_actors_are_served(template: dict[str, Any]) -> None:
    assert template["Parameters"]["StatefulActors"]["Default"] == ""
    main = template["Parts"]["template"]["Resources"]
    conditional = {name for name, each in main.items() if each.get("Condition") == "HasActors"}
    assert conditional == {"ActorStack", "ActorSteps"}


def test_what_is_always_there_names_what_may_not_be_only_under_the_condition(
    template: dict[str, Any],
) -> None:
    main = template["Parts"]["template"]
    for name, resource in main["Resources"].items():
        if resource.get("Condition") != "HasActors":
            for value in leaves(resource):
                assert "ActorStack" not in repr(value) or conditional(value), (name, value)
    for output in main["Outputs"].values():
        named = "ActorStack" in repr(output["Value"])
        assert named is (output.get("Condition") == "HasActors")


def leaves(value: Any) -> Iterator[Any]:
    """What is said in the end; an intrinsic function with several arguments is one."""
    if isinstance(value, dict):
        for each in value.values():
            yield from leaves(each)
    elif isinstance(value, list) and not conditional(value):
        for each in value:
            yield from leaves(each)
    else:
        yield value


def conditional(value: Any) -> bool:
    return isinstance(value, list) and value[:1] == ["HasActors"] and value[2:] == [""]


def test_runners_must_know_a_token(template: dict[str, Any]) -> None:
    assert template["Parameters"]["RunnerToken"]["NoEcho"] is True
    assert "RunnersAreKnown" in template["Rules"]
    for name in ("RunnersFunction", "PoolFunction"):
        told = properties(template, name)["Environment"]["Variables"]
        assert told["TIDESTEP_RUNNER_TOKEN"] == "RunnerToken"
    told = properties(template, "GatewayFunction")["Environment"]["Variables"]
    assert "TIDESTEP_RUNNER_TOKEN" not in told


def test_the_gateways_time_is_between_a_requests_and_api_gateways(template: dict[str, Any]) -> None:
    timeout_ms = properties(template, "GatewayFunction")["Timeout"] * 1000
    assert SETTINGS.ready_ms < SETTINGS.request_ms <= timeout_ms - 1_000 < 30_000
    assert properties(template, "RunnersFunction")["Timeout"] <= 29


def test_a_pools_request_is_held_longer_than_its_runner_lives(template: dict[str, Any]) -> None:
    timeout_s = properties(template, "PoolFunction")["Timeout"]
    assert SETTINGS.lifespan_most_ms / 1000 < timeout_s - RESERVE_S


def test_lambda_repeats_no_request_of_a_pool(template: dict[str, Any]) -> None:
    pool = properties(template, "PoolFunction")
    assert pool["EventInvokeConfig"]["MaximumRetryAttempts"] == 0
    assert pool["RecursiveLoop"] == "Allow", "the end of a runner begins the next"


def test_whoever_steps_actors_is_told_how_runners_are_reached_and_started(
    template: dict[str, Any],
) -> None:
    dispatcher = properties(template, "DispatcherFunction")["Environment"]["Variables"]
    dead = properties(template, "DeadLetterFunction")["Environment"]["Variables"]
    for name in ("TIDESTEP_WEBSOCKET_URL", "TIDESTEP_POOL_FUNCTION"):
        assert dispatcher[name] == dead[name]
    assert dispatcher["TIDESTEP_POOL_FUNCTION"][1] == "ActorStack.Outputs.PoolFunction"
    url = template["Parts"]["actors"]["Outputs"]["SocketsUrl"]["Value"]
    for name in ("DispatcherFunction", "SweeperFunction"):
        told = properties(template, name)["Environment"]["Variables"]
        assert told["TIDESTEP_WEBSOCKET_URL"][1] == "ActorStack.Outputs.SocketsUrl"
    for name in OURS:
        told = properties(template, name)["Environment"]["Variables"]
        assert told["TIDESTEP_WEBSOCKET_URL"] == url
    stage = properties(template, "SocketsStage")["StageName"]
    assert url.endswith(f"/{stage}")


def test_connections_are_those_of_the_one_api_and_stage(template: dict[str, Any]) -> None:
    resources = {
        statement["Resource"]
        for name in OURS
        for statement in statements_of(properties(template, name))
        if "execute-api:ManageConnections" in statement["Action"]
    }
    (resource,) = resources
    assert resource.endswith(":${Sockets}/live/*/@connections/*")
    assert template["Parts"]["actors"]["Outputs"]["Connections"]["Value"] == resource
    steps = properties(template, "ActorSteps")["PolicyDocument"]["Statement"]
    assert steps[0]["Resource"] == "ActorStack.Outputs.Connections"


def test_all_three_routes_lead_to_the_runners_function_and_wait_for_the_stage(
    template: dict[str, Any],
) -> None:
    routes = {
        name: properties(template, name)
        for name in of_type(template, "AWS::ApiGatewayV2::Route")
        if properties(template, name)["ApiId"] == "Sockets"
    }
    assert {each["RouteKey"] for each in routes.values()} == {"$connect", "$default", "$disconnect"}
    assert {each["Target"] for each in routes.values()} == {"integrations/${SocketsIntegration}"}
    assert set(template["Resources"]["SocketsStage"]["DependsOn"]) == set(routes)
    uri = properties(template, "SocketsIntegration")["IntegrationUri"]
    assert uri.endswith("functions/${RunnersFunction.Arn}/invocations")


def test_actors_are_open_to_the_world_and_throttled(template: dict[str, Any]) -> None:
    route = properties(template, "ActorsRoute")
    assert route["RouteKey"] == "ANY /actors/{proxy+}"
    settings = properties(template, "ActorsStage")["DefaultRouteSettings"]
    assert set(settings) == {"ThrottlingRateLimit", "ThrottlingBurstLimit"}
    assert properties(template, "GatewayIntegration")["PayloadFormatVersion"] == "2.0"


def test_every_api_may_call_its_function(template: dict[str, Any]) -> None:
    called = {
        properties(template, name)["FunctionName"]: properties(template, name)["SourceArn"]
        for name in of_type(template, "AWS::Lambda::Permission")
    }
    assert "${Sockets}" in called["RunnersFunction"]
    assert "${ActorsApi}" in called["GatewayFunction"]
