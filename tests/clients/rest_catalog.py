"""Iceberg's REST catalog in a process of its own, over a store that knows who may read until when."""

import asyncio
import re
import selectors
import ssl
import subprocess
import threading
from pathlib import Path

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

BUCKET, REGION = "lake", "us-east-1"
# The catalog's own key, which always works.
OWN_KEY, OWN_SECRET = "catalog-key", "catalog-secret"
START_LIMIT_S, STOP_LIMIT_S = 60, 10


class Store:
    """An S3 server (moto) that refuses temporary keys that have expired, in Amazon's words."""

    def __init__(self):
        self.app = DomainDispatcherApplication(create_backend_app)
        self.good, self.seen, self.on_read = set(), [], lambda key: None
        self.server = make_server("127.0.0.1", 0, self, threaded=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        client = boto3.client("s3", endpoint_url=self.url, region_name=REGION, aws_access_key_id=OWN_KEY,
                              aws_secret_access_key=OWN_SECRET)
        client.create_bucket(Bucket=BUCKET)

    def __call__(self, environ, start_response):
        signed = re.search(r"Credential=([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
        key = signed[1] if signed else "nobody"
        is_data = environ["REQUEST_METHOD"] == "GET" and environ["PATH_INFO"].endswith(".parquet")
        if is_data:
            self.on_read(key)
        good = key == OWN_KEY or key in self.good
        if is_data:
            self.seen.append((key, good))
        if good:
            return self.app(environ, start_response)
        body = b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
        start_response("400 Bad Request", [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [body]

    def stop(self):
        self.server.shutdown()


class Catalog:
    """`CatalogServer.java`, which may be killed and started again at its address."""

    def __init__(self, directory: Path, home: Path, store: Store):
        self.directory, self.store, self.port = directory, store, 0
        self.properties, self.vended, self.log = home / "catalog.properties", home / "vended.properties", home / "catalog.log"
        write(self.properties, {
            "catalog-impl": "org.apache.iceberg.jdbc.JdbcCatalog", "uri": f"jdbc:sqlite:{home / 'catalog.db'}",
            "jdbc.schema-version": "V1", "warehouse": f"s3://{BUCKET}/sales/warehouse",
            "io-impl": "org.apache.iceberg.aws.s3.S3FileIO", "s3.endpoint": store.url, "s3.path-style-access": "true",
            "s3.access-key-id": OWN_KEY, "s3.secret-access-key": OWN_SECRET, "client.region": REGION,
        })
        self.vend("first")
        self.start()

    def vend(self, name: str):
        """Gives new temporary keys from now on; the store takes no others."""
        write(self.vended, {
            "s3.access-key-id": f"key-{name}", "s3.secret-access-key": f"hidden-secret-{name}",
            "s3.session-token": f"hidden-token-{name}", "s3.endpoint": self.store.url, "s3.path-style-access": "true",
            "client.region": REGION,
        })
        self.store.good = {f"key-{name}"}

    def start(self):
        classes = f"{self.directory / 'classes'}:{self.directory / 'jars' / '*'}"
        command = ["java", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp", classes, "org.apache.iceberg.rest.CatalogServer",
                   self.properties, self.vended, str(self.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
        with selectors.DefaultSelector() as ready:
            ready.register(self.process.stdout, selectors.EVENT_READ)
            line = self.process.stdout.readline().strip() if ready.select(START_LIMIT_S) else ""
        if not line.startswith("http"):
            self.kill()
            raise RuntimeError(f"the catalog does not start: {self.log.read_text()[-4000:]}")
        self.url, self.port = line, int(line.rsplit(":", 1)[1])

    def kill(self):
        self.process.kill()
        self.process.wait(STOP_LIMIT_S)
        self.process.stdout.close()


class Tls:
    """Speaks TLS before a port."""

    def __init__(self, port: int, files: tuple[Path, Path]):
        self.port, self.context = port, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*files)
        self.loop = asyncio.new_event_loop()

    def __enter__(self) -> str:
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        listening = asyncio.start_server(self.pass_on, "127.0.0.1", 0, ssl=self.context)
        server = asyncio.run_coroutine_threadsafe(listening, self.loop).result(STOP_LIMIT_S)
        return f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self.end(), self.loop).result(STOP_LIMIT_S)
        self.loop.call_soon_threadsafe(self.loop.stop)

    async def end(self):
        passing = asyncio.all_tasks() - {asyncio.current_task()}
        for task in passing:
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)

    async def pass_on(self, reader, writer):
        there = await asyncio.open_connection("127.0.0.1", self.port)
        await asyncio.gather(self.copy(reader, there[1]), self.copy(there[0], writer))

    async def copy(self, reader, writer):
        try:
            while block := await reader.read(1 << 16):
                writer.write(block)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


def write(file: Path, properties: dict):
    """Replaced as a whole: the catalog reads it for every table that it loads."""
    new = file.with_suffix(".new")
    new.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
    new.replace(file)
