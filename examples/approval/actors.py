"""The actors of the approval. Each may run more than once, and nothing of that is to be seen."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from examples.approval.desk import put
from tidestep import Context, Emit, Wait, actor


class Request(msgspec.Struct):
    title: str
    author: str
    manager: str


class Draft(msgspec.Struct):
    title: str
    text: str


class Answer(msgspec.Struct):
    """What the manager posts to the address in the letter."""

    approved: bool
    comment: str = ""


class Refusal(msgspec.Struct):
    title: str
    reason: str


class Published(msgspec.Struct):
    address: str


@actor("approval.draft")
async def draft(request: Request) -> Draft:
    """Write the article."""
    return Draft(request.title, f"{request.title}. It is said that {request.author} knows more.")


@actor("approval.ask", outports={"approved": Draft, "declined": Refusal, "expired": Refusal})
async def ask(draft: Draft, context: Context, *, manager: str, hours: float) -> Emit | Wait:
    """Send the manager a letter with an address to answer at, and wait for the answer."""
    if context.resumed == "timeout":
        return Emit("expired", Refusal(draft.title, f"{manager} has not answered"))
    if context.resumed == "signal":
        answer = msgspec.convert(context.signal, Answer)
        if answer.approved:
            return Emit("approved", draft)
        return Emit("declined", Refusal(draft.title, answer.comment or f"{manager} said no"))
    put("letter", context.idempotency_key, {"to": manager, "answer_at": context.callback_url})
    return Wait("approval", timedelta(hours=hours))


@actor("approval.publish")
async def publish(draft: Draft, context: Context) -> Published:
    """Put the article where everybody sees it."""
    put("article", context.idempotency_key, {"title": draft.title, "text": draft.text})
    return Published(f"/articles/{context.run_id}")


@actor("approval.notify")
async def notify(refusal: Refusal, context: Context, *, author: str) -> Refusal:
    """Tell the author why nothing was published."""
    put("notice", context.idempotency_key, {"to": author, "reason": refusal.reason})
    return refusal
