"""The signature of a delivery: https://github.com/standard-webhooks/standard-webhooks."""

import base64
import hashlib
import hmac

from worker.ledger.webhooks import MARK


def signed(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of a delivery."""
    content = f"{message_id}.{timestamp}.".encode() + body
    key = base64.b64decode(secret.removeprefix(MARK))
    signature = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }
