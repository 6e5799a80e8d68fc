"""moto's server, one request at a time: ``python -m tests.contract.databases.moto_server``. Prints its port.

``python -m moto.server`` runs requests in parallel without isolation, and undoes a cancelled transaction by putting
the whole table back to what it was at its beginning: writes of other requests are lost with it. DynamoDB's
transactions are serializable; behind this lock moto's are too.

For that undoing it copies the whole table, item by item, for each action of a transaction: seconds for a table of some
hundred jobs. Here a copy shares its items with the table, and an update puts a new item into the table first.
"""

import copy
import logging
import threading
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from moto.dynamodb.exceptions import MockValidationException
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.table import Table
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server


def _shared(table: Table, _: dict[int, Any]) -> Table:
    twin = copy.copy(table)
    twin.items = defaultdict(dict, {pk: dict(items) for pk, items in table.items.items()})
    return twin


def _update_a_new_item(backend: DynamoDBBackend, table_name: str, key: dict[str, Any], *args: Any, **more: Any) -> Any:
    table = backend.get_table(table_name)
    pk, sk = backend.get_keys_value(table, key)
    if table.get_item(pk, sk) is not None:
        table.items[pk][sk] = copy.deepcopy(table.items[pk][sk])
    return _update_item(backend, table_name, key, *args, **more)


def _switch_ttl_once(backend: DynamoDBBackend, table_name: str, ttl_spec: dict[str, Any]) -> None:
    """DynamoDB refuses what is so already."""
    if ttl_spec["Enabled"] == (backend.describe_time_to_live(table_name).get("TimeToLiveStatus") == "ENABLED"):
        raise MockValidationException(f"TimeToLive is already {'enabled' if ttl_spec['Enabled'] else 'disabled'}")
    _update_time_to_live(backend, table_name, ttl_spec)


_update_item = DynamoDBBackend.update_item
_update_time_to_live = DynamoDBBackend.update_time_to_live


def main() -> None:
    Table.__deepcopy__ = _shared
    DynamoDBBackend.update_item = _update_a_new_item
    DynamoDBBackend.update_time_to_live = _switch_ttl_once
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    application = DomainDispatcherApplication(create_backend_app)
    lock = threading.Lock()

    def one_at_a_time(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with lock:
            return application(environ, start_response)

    server = make_server("127.0.0.1", 0, one_at_a_time, threaded=True, request_handler=MotoRequestHandler)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
