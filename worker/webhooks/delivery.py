"""Delivering what the outbox holds, beside the dispatcher."""

import asyncio
import json
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event
from typing import Any

import httpx
import structlog
from sqlalchemy.exc import SQLAlchemyError

from worker.contract import DeliveryRecord, WebhookRecord
from worker.ledger.database import Database
from worker.ledger.webhooks import Webhooks
from worker.settings import DAY, Settings
from worker.webhooks.addresses import AddressError, resolve
from worker.webhooks.signature import signed

IDLE = 0.5  # s between looks at the outbox
AT_ONCE = 8  # deliveries
PATIENCE = 10.0  # s of one delivery, all of it
AGAIN = (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 28800)  # s; a day in all
LONGEST_WAIT = 3600.0  # s that a receiver may ask for
GONE = 410  # the receiver's way to say: no more

log = structlog.get_logger()


@dataclass(frozen=True)
class Answer:
    """What came of an attempt."""

    status: int | None
    error: str | None  # None when it was delivered
    asked: float = 0.0  # s that the receiver wants to be left alone


@dataclass(frozen=True)
class Deliverer:
    """Delivers to webhooks. Harmless to run many times over: each delivery is taken by one."""

    database: Database
    settings: Settings

    def run(self, stop: Event) -> None:
        """Deliver until told to stop, whatever happens to the ledger."""
        asyncio.run(self._run(stop))

    async def _run(self, stop: Event) -> None:
        while not stop.is_set():
            try:
                made = await self.step()
            except SQLAlchemyError as error:
                log.warning("ledger_away", error=type(error).__name__)
                made = 0
            if not made:
                await asyncio.sleep(IDLE)

    async def step(self) -> int:
        """Make the deliveries whose time has come, some at once; how many."""
        due = await asyncio.to_thread(Webhooks(self.database).due, AT_ONCE)
        await asyncio.gather(*(self._deliver(number) for number in due))
        return len(due)

    async def _deliver(self, number: int) -> None:
        hooks = Webhooks(self.database)
        taken = await asyncio.to_thread(hooks.take, number)
        if taken is None:
            return
        delivery, webhook, secret = taken
        answer = await self._send(delivery, webhook, secret)
        await asyncio.to_thread(_note, hooks, delivery, answer)

    async def _send(self, delivery: DeliveryRecord, webhook: WebhookRecord, secret: str) -> Answer:
        body = json.dumps(message(delivery, self.settings.root_path)).encode()
        try:
            async with asyncio.timeout(PATIENCE):
                target = await resolve(webhook.url, private=self.settings.webhook_private)
                headers = signed(secret, message_id(delivery), int(time.time()), body)
                headers |= {"Host": target.host, "Content-Type": "application/json"}
                return await _post(target.url, target.name, headers, body)
        except AddressError as error:
            return Answer(None, str(error))
        except TimeoutError:
            return Answer(None, f"no answer within {PATIENCE:g} s")
        except (httpx.HTTPError, OSError) as error:
            return Answer(None, f"{type(error).__name__}: {error}"[:200])


def message(delivery: DeliveryRecord, root_path: str) -> dict[str, Any]:
    """What a receiver is told; links are paths on this server."""
    data = dict(delivery.data)
    if "job_id" in data:
        here = f"{root_path}/v1/jobs/{data['job_id']}"
        links = {"self": here, "result": f"{here}/result", "report": f"{here}/report"}
        data["links"] = links if data.get("state") == "succeeded" else {"self": here}
    at = datetime.fromtimestamp(delivery.created_at, UTC).isoformat(timespec="milliseconds")
    return {"type": str(delivery.topic), "timestamp": at, "data": data}


def message_id(delivery: DeliveryRecord) -> str:
    """The same for all attempts, so that a receiver can tell a repetition."""
    return f"msg_{delivery.webhook_id}_{delivery.number}"


async def _post(url: httpx.URL, name: str, headers: dict[str, str], body: bytes) -> Answer:
    # No proxy of the environment, no redirect; the answer's body is not read.
    async with (
        httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=PATIENCE) as client,
        client.stream(
            "POST", url, content=body, headers=headers, extensions={"sni_hostname": name}
        ) as response,
    ):
        status = response.status_code
        if response.is_success:
            return Answer(status, None)
        told = response.headers.get("Retry-After", "")
        asked = min(float(told), LONGEST_WAIT) if told.isdecimal() and len(told) < 10 else 0.0
        return Answer(status, f"answered {status}", asked)


def _note(hooks: Webhooks, delivery: DeliveryRecord, answer: Answer) -> None:
    """Write down what came of it, and what follows."""
    if answer.error is None:
        hooks.delivered(delivery, answer.status or 0)
        return
    again_in = _pause(delivery.attempts, answer)
    hooks.failed(delivery, answer.status, answer.error, again_in)
    log.info("delivery_failed", webhook_id=delivery.webhook_id, error=answer.error, again=again_in)
    if answer.status == GONE:
        hooks.disable(delivery.webhook_id, "the receiver answered 410: no more")
    elif again_in is None:
        reason = f"nothing could be delivered for a day; last: {answer.error}"
        hooks.disable(delivery.webhook_id, reason, failing_for=DAY / 2)


def _pause(attempts: int, answer: Answer) -> float | None:
    """Seconds to the next attempt, spread a little; None when it was the last one."""
    if attempts > len(AGAIN) or answer.status == GONE:
        return None
    return max(AGAIN[attempts - 1] * random.uniform(0.9, 1.1), answer.asked)  # noqa: S311
