"""An S3 server on a free port, for a lake that is not a folder."""

from __future__ import annotations

import boto3
from moto.server import ThreadedMotoServer

BUCKET = "lake"


class S3Server:
    """moto's server with one empty bucket."""

    def __init__(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.endpoint = f"http://{host}:{port}"
        self.client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            region_name="us-east-1",
        )
        self.client.create_bucket(Bucket=BUCKET)

    @property
    def environment(self) -> dict[str, str]:
        """What a stack needs to use the bucket."""
        return {
            "R2_BUCKET_NAME": BUCKET,
            "R2_ENDPOINT": self.endpoint,
            "R2_ACCESS_KEY_ID": "test",
            "R2_SECRET_ACCESS_KEY": "test",
            "R2_REGION": "us-east-1",
        }

    def stop(self) -> None:
        """End the server."""
        self._server.stop()
