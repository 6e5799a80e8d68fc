"""One line for each call that changes something, refused ones too: who, for which tenant, what, with which result.

The lines have a logger of their own and come whatever LOG_LEVEL is. There is no token in them, and nothing of a
request but ids that were found valid.
"""

import logging
from typing import Final

from api.connect.methods import Context

LOG: Final = logging.getLogger("jennah.audit")
LOG.setLevel(logging.INFO)


def write(call: Context, method: str, result: str) -> None:
    """`result`: ``ok`` or Connect's code. What is not known of the call is left out of the line."""
    fields = {
        "principal": str(call.principal) if call.principal else "",
        "tenant": call.tenant_id,
        "method": method,
        **call.subject,
        "result": result,
        "remote": call.remote,
    }
    LOG.info("audit", extra=fields)
