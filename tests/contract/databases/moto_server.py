"""moto's server, one request at a time: ``python -m tests.contract.databases.moto_server``. Prints its port.

``python -m moto.server`` runs requests in parallel without isolation, and undoes a cancelled transaction by putting
the whole table back to what it was at its beginning: writes of other requests are lost with it. DynamoDB's
transactions are serializable; behind this lock moto's are too.
"""

import logging
import threading
from collections.abc import Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server


def main() -> None:
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
