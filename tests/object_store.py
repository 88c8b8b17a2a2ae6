"""An object store on this machine's loopback, that tests put a ledger's copy into."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from moto.server import ThreadedMotoServer

HERE, BUCKET = "127.0.0.1", "county"


@contextmanager
def object_store() -> Iterator[str]:
    """The address of a folder in a bucket of it."""
    server = ThreadedMotoServer(ip_address=HERE, port=0, verbose=False)
    server.start()
    try:
        _, port = server.get_host_and_port()
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {"AWS_ACCESS_KEY_ID": "a-clerk", "AWS_SECRET_ACCESS_KEY": "secret"}.items():
                patch.setenv(name, value)
            patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
            import boto3

            boto3.client("s3", endpoint_url=f"http://{HERE}:{port}", region_name="us-east-1").create_bucket(
                Bucket=BUCKET
            )
            yield f"s3://{BUCKET}/of/ledger?endpoint_override={HERE}:{port}&scheme=http&region=us-east-1"
    finally:
        server.stop()
