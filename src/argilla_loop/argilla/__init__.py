"""The working dataset: what a backend must do, the backends, and what is built on them. Nothing here knows of models.

- ``protocol``, ``query``: the interface, as protocols and plain values.
- ``v2``: Argilla 2.8 over HTTP, whose ``backend`` is the implementation of ``protocol.Backend``.
- ``memory``: the working dataset in memory, for tests and simulations.
- ``observer``, ``index_watch``: which records there are, and whether the search index has them all.

To support another server, such as that of Argilla 1.x:

1. Write a package beside ``v2`` with a class that implements ``protocol.Backend``, and the objects that it gives out.
2. Translate the server's replies into the errors of ``argilla_loop.errors``; ``protocol`` lists them.
3. Store what ``domain.NewRecord`` holds so that ``scan`` returns it as ``domain.LoggedRecord``; hide from annotators
   what ``Visibility`` covers. Build the lease on an operation of the server that only one of two callers can win.
4. If the server has no webhooks, raise ``FatalError`` in ``Webhooks``; if it has no search index, let ``Indexed`` read
   its database.
5. Add it to the fixtures of the suites in ``tests/contract`` (``working``, ``opened``), and make them pass.
6. Choose it in ``service.wiring.connect_with``, the only module outside that may import a backend.
"""
