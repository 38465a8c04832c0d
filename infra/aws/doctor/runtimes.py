"""Until when Lambda supports the runtimes that we run on."""

from __future__ import annotations

from datetime import date, timedelta

from infra.aws.doctor.findings import About, Finding, Resource

# "Supported runtimes" and "Deprecated runtimes" of
# https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html, as they stood in July 2026.
DEPRECATED_ON = {
    "python3.8": date(2024, 10, 14),
    "python3.9": date(2025, 12, 15),
    "python3.10": date(2026, 10, 31),
    "python3.11": date(2027, 6, 30),
    "python3.12": date(2028, 10, 31),
    "python3.13": date(2029, 6, 30),
    "python3.14": date(2029, 6, 30),
}
SOON = timedelta(days=180)
"""As long before as AWS tells people."""


def judge_runtime(resource: Resource, runtime: str, today: date) -> Finding:
    """`runtime` is Lambda's identifier; empty for a container image."""
    about = About("runtime", resource)
    if not runtime:
        return about.ok("a container image")
    last = DEPRECATED_ON.get(runtime)
    if last is None:
        return about.ok(f"{runtime}, which this version of Tidestep has no date for")
    mend = "Set the parameter Runtime to a newer Python, build, and deploy."
    if today >= last:
        seen = f"{runtime} is deprecated since {last}: no security fixes, and soon no deployments"
        return about.problem(seen, mend)
    if today >= last - SOON:
        return about.warning(f"{runtime} is deprecated from {last} on", mend)
    return about.ok(f"{runtime}, supported until {last}")
