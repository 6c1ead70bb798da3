"""What a backend must do: the interface between argilla-loop and the server that holds the working dataset.

``Backend`` is a connection to one server as one user. It gives out the other objects of this package. Nothing outside a
backend's own package sees a request, a path or a decoded reply.

Unless a docstring says otherwise, every method that talks to the server raises these errors:

- ``GoneError``: the dataset, or the part of it that was asked for, no longer exists.
- ``RetryableError``: the server is away or busy, or something else answers in its place.
- ``FatalError``: the server refuses for good, such as ``CredentialsError`` for a key without the permission.
"""

from argilla_loop.argilla.protocol.annotators import AnnotatorQueue, Exposed, NoticeBoard, Pending, Visibility
from argilla_loop.argilla.protocol.backend import Backend, FoundDataset, PoolRows
from argilla_loop.argilla.protocol.lease import HEARTBEATS, Lease, Writer
from argilla_loop.argilla.protocol.migration import Copied, Migration, Target
from argilla_loop.argilla.protocol.records import DatasetInfo, Indexed, Listing, Page, WorkingDataset
from argilla_loop.argilla.protocol.webhooks import Judge, Registration, Verdict, Webhooks

__all__ = [
    "HEARTBEATS", "AnnotatorQueue", "Backend", "Copied", "DatasetInfo", "Exposed", "FoundDataset", "Indexed", "Judge",
    "Lease", "Listing", "Migration", "NoticeBoard", "Page", "Pending", "PoolRows", "Registration", "Target", "Verdict",
    "Visibility", "Webhooks", "WorkingDataset", "Writer",
]  # fmt: skip
