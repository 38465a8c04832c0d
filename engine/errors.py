"""Every error Tidestep raises on purpose, by who must act.

Four families: the *caller* gave something that cannot be used, the *author* of a workflow or of an
actor wrote something that cannot work, or the *operator* must mend the platform. Each class says
whether the retry policy may try again, and which exit code and HTTP status it becomes at the edge.
Foreign exceptions are converted where they are caught; an actor's own exceptions are recorded by
class name and are nobody's here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class TidestepError(Exception):
    """The root: catch it to catch everything that Tidestep raises on purpose."""

    retryable: ClassVar[bool] = False
    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500


# -- the caller -------------------------------------------------------------------------------


class CallerError(TidestepError):
    """The request cannot be served as it was made; nothing was changed."""

    exit_code = 2
    http_status = 400


class InvalidInput(CallerError):
    """The run's input does not satisfy the workflow's input schema, or is too large."""

    http_status = 422


class InvalidName(CallerError):
    """A tenant or run id holds characters that keys cannot carry."""


class RunExists(CallerError):
    """The run id is taken by a run of another definition or another input."""

    exit_code = 5
    http_status = 409


class RunNotFound(CallerError):
    """No run has this id."""

    exit_code = 4
    http_status = 404


class UnknownWorkflow(CallerError):
    """No workflow of this name is deployed, or the file cannot be read."""

    exit_code = 4
    http_status = 404


class RunEnded(CallerError):
    """The run has ended: it takes no signals, and there is nothing left to cancel."""

    exit_code = 5
    http_status = 409


class NothingToRetry(CallerError):
    """The run has not failed, or nothing of it is left that could run again."""

    exit_code = 5
    http_status = 409


class StepNotFound(CallerError):
    """The run's history has no such step."""

    exit_code = 4
    http_status = 404


class WaitClosed(CallerError):
    """The wait is over: it was answered, it timed out, or its run has ended."""

    exit_code = 5
    http_status = 410


class InvalidCallback(CallerError):
    """The address of a callback is forged, mutilated, or signed by a key that is gone."""

    exit_code = 4
    http_status = 404


class SignalConflict(CallerError):
    """A signal of this id was sent before, with another content."""

    exit_code = 5
    http_status = 409


class PayloadTooLarge(InvalidInput):
    """A signal's payload is larger than the limit that the message names."""

    http_status = 413


class InboxFull(CallerError):
    """As many signals wait for this run as its inbox may hold."""

    exit_code = 5
    http_status = 429


# -- the author of a workflow -----------------------------------------------------------------


class AuthorError(TidestepError):
    """A definition or an actor must be changed before this can work."""

    exit_code = 3
    http_status = 422


class InvalidDefinition(AuthorError):
    """The document has problems; `problems` holds all of them, one line each, with places."""

    def __init__(self, problems: Sequence[object]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ExpressionError(AuthorError):
    """An expression does not parse, names something missing, or asks for more than it may."""


class StepBudgetExhausted(AuthorError):
    """The run has taken `max_steps` steps without ending: a loop that does not stop, as a rule."""


class FrontierFull(AuthorError):
    """More activations and queued messages are pending than a head may hold."""


class Starved(AuthorError):
    """Nothing is left to run, and a join still waits for a message that can no longer come."""


# -- the author of an actor -------------------------------------------------------------------


class UnknownActor(AuthorError):
    """No actor of this name is registered in this process."""

    retryable = True  # a deploy that lost an actor can be put right while the run waits


class UndeclaredPort(AuthorError):
    """An actor sent a value out of a port that it does not declare."""


class InvalidValue(AuthorError):
    """A message, a config or a result does not have the type that the actor declares."""


class NotJson(InvalidValue):
    """A value is not JSON; the message names the place inside the value."""


class TooLarge(InvalidValue):
    """A value is larger than the limit that the message names."""


class InvalidActor(AuthorError):
    """A function cannot be an actor as it is declared."""


class PermanentFailure(AuthorError):
    """Raised by actors: the attempt failed, and trying again would not help."""


class Refused(PermanentFailure):
    """The sandbox or a guard does not allow what was asked for."""


class DeadlineExceeded(AuthorError):
    """The run has not ended within the deadline that its definition sets."""


class AttemptTimeout(TidestepError):
    """An attempt did not end within the node's timeout or the function's remaining time."""

    retryable = True


class StepCrashed(TidestepError):
    """The process died each time it ran this attempt's actor: memory, a native crash, an exit."""

    retryable = True


class Interrupted(TidestepError):
    """The process died, or may have, in an attempt that must not run twice (`at_most_once`)."""


class Undeliverable(TidestepError):
    """The queue gave this attempt up, again and again, before its actor could be run."""

    retryable = True


# -- the operator -----------------------------------------------------------------------------


class PlatformError(TidestepError):
    """The store, the queue or the machine must be looked at; no run was changed."""

    retryable = True
    exit_code = 6
    http_status = 503


class NewerFormat(PlatformError):
    """Stored by a newer version of Tidestep than this one; left alone."""


class Corrupt(PlatformError):
    """Something stored cannot be decoded, or is missing although a run refers to it."""


class StoreUnusable(PlatformError):
    """The database or table cannot be opened, read or written."""


class WorkerRunning(PlatformError):
    """Another worker process already runs on this file."""

    exit_code = 7
    http_status = 409


class OutOfTime(PlatformError):
    """The time for a step was over before its actor could be called; nothing was attempted."""


class Misconfigured(PlatformError):
    """A setting of the process is missing or makes no sense."""
