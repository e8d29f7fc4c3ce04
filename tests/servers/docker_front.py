"""A front of the real engine's socket on loopback, with TLS or without, that can drop everybody."""

import asyncio
import contextlib
import datetime as dt
import ipaddress
import ssl
import threading
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ENGINE = "/var/run/docker.sock"
CHUNK = 1 << 16


class DockerFront:
    """Listens at `port` of 127.0.0.1, or at the socket `path`. To be used in a `with`."""

    def __init__(self, certificates: Path | None = None, *, path: str | None = None) -> None:
        self._certificates, self._path = certificates, path
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="docker-front")
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_exc: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def drop(self) -> None:
        """Cut every connection, as an engine does that restarts."""
        asyncio.run_coroutine_threadsafe(self._drop(), self._loop).result(10)

    async def _listen(self) -> None:
        if self._path is not None:
            self._server: asyncio.Server = await asyncio.start_unix_server(self._serve, self._path)
            return
        context = None
        if self._certificates is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._certificates / "server.pem", self._certificates / "server-key.pem")
            context.load_verify_locations(self._certificates / "ca.pem")
            context.verify_mode = ssl.CERT_REQUIRED
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        inner, outer = await asyncio.open_unix_connection(ENGINE)
        pumps = [asyncio.ensure_future(_pump(reader, outer)), asyncio.ensure_future(_pump(inner, writer))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            pass
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for end in (writer, outer):
                end.transport.abort()
            self._tasks.discard(task)

    async def _drop(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _stop(self) -> None:
        self._server.close()
        await self._drop()
        await self._server.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()


def certificates(folder: Path) -> Path:
    """A throwaway authority with a server (127.0.0.1) and a client, in Docker's file names."""
    key = ec.generate_private_key(ec.SECP256R1())
    ca = _certificate("throwaway", key, None)
    _write(folder / "ca.pem", ca.public_bytes(serialization.Encoding.PEM))
    for name, files in {"server": ("server.pem", "server-key.pem"), "client": ("cert.pem", "key.pem")}.items():
        own = ec.generate_private_key(ec.SECP256R1())
        signed = _certificate(name, own, (ca, key))
        secret = own.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        _write(folder / files[0], signed.public_bytes(serialization.Encoding.PEM))
        _write(folder / files[1], secret)
    return folder


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer is not None:
        usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        builder = builder.add_extension(address, critical=False)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256())
