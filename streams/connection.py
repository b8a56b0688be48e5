"""From a URL to connections: one server, Sentinel, or Cluster."""


class Link:
    """A server, or several, as one URL names them."""


def connect(url: str) -> Link:
    """Link to `redis[s]://`, `redis[s]+sentinel://host,host/service/db`, `redis[s]+cluster://`."""
    raise NotImplementedError
