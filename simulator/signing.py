"""Signatures of webhooks.

Source: https://www.twilio.com/docs/usage/webhooks/webhooks-security (2026-11).
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping


def signature(auth_token: str, url: str, fields: Mapping[str, str]) -> str:
    """Sign a form: base64 of HMAC-SHA1 over the URL and the fields sorted by name."""
    signed = url + "".join(name + fields[name] for name in sorted(fields))
    digest = hmac.new(auth_token.encode(), signed.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode("ascii")
