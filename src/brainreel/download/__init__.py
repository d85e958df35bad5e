"""Getting files from a public S3 bucket: listed, resumed where they stopped, verified, never outside their folder.

Knows nothing of datasets: which files to get is the caller's business.
"""

from brainreel.download.listing import Listed, list_bucket
from brainreel.download.mirror import Copy
from brainreel.download.server import Patience, Server

__all__ = ["Copy", "Listed", "Patience", "Server", "list_bucket"]
