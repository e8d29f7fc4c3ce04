"""What runs beside a sandbox when its tests need a server: how each is started, and how the sandbox finds it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

READY = b"ready\n"
"""What a server's program prints once it answers."""

_PROGRAM = """\
set -u
cd /tmp
{prepare}
{serve} > /tmp/server.log 2>&1 &
server=$!
for attempt in $(seq 600); do
    if {probe} > /dev/null 2>&1; then
        echo ready
        # The host holds the other end: when it hangs up, or dies, this ends, and the container with it.
        cat > /dev/null
        exit 0
    fi
    kill -0 "$server" 2> /dev/null || break
    sleep 0.1
done
echo failed
tail -c 2000 /tmp/server.log
exit 1
"""


@dataclass(frozen=True, slots=True)
class Server:
    """One kind of server, as the image of its name has it."""

    prepare: str
    serve: str
    """Stays in the foreground. Nothing it writes outlives the sandbox, so nothing is flushed to a disk."""
    probe: str
    """Succeeds when it answers."""
    env: Mapping[str, str] = field(default_factory=dict)
    """By what names programs look for it."""
    url: str = ""
    """The value of `DATABASE_URL`, for those that are databases."""

    @property
    def program(self) -> str:
        """What the container runs, for `sh -c`."""
        return _PROGRAM.format(prepare=self.prepare, serve=self.serve, probe=self.probe)


SERVERS: Mapping[str, Server] = {
    "postgres": Server(
        prepare="cp -a /opt/coder/data /data/postgres && chmod 700 /data/postgres",
        serve=(
            "postgres -D /data/postgres -k /tmp -c listen_addresses=* -c fsync=off -c synchronous_commit=off "
            "-c full_page_writes=off -c max_wal_size=128MB -c dynamic_shared_memory_type=mmap"
        ),
        probe="pg_isready -q -h 127.0.0.1",
        env={
            "PGHOST": "127.0.0.1",
            "PGPORT": "5432",
            "PGUSER": "postgres",
            "PGPASSWORD": "postgres",
            "PGDATABASE": "test",
            "POSTGRES_HOST": "127.0.0.1",
            "POSTGRES_PORT": "5432",
            "POSTGRES_USER": "postgres",
            "POSTGRES_PASSWORD": "postgres",
            "POSTGRES_DB": "test",
        },
        url="postgresql://postgres:postgres@127.0.0.1:5432/test",
    ),
    "mysql": Server(
        prepare="cp -a /opt/coder/data /data/mysql",
        serve=(
            "mariadbd --no-defaults --datadir=/data/mysql --socket=/tmp/mysqld.sock --pid-file=/tmp/mysqld.pid "
            "--bind-address=127.0.0.1 --innodb-flush-log-at-trx-commit=0 --innodb-log-file-size=8M "
            "--innodb-buffer-pool-size=64M --innodb-flush-method=fsync --innodb-use-native-aio=0"
        ),
        probe="mariadb --no-defaults -h 127.0.0.1 -u root -e 'CREATE DATABASE IF NOT EXISTS test'",
        env={
            "MYSQL_HOST": "127.0.0.1",
            "MYSQL_PORT": "3306",
            "MYSQL_TCP_PORT": "3306",
            "MYSQL_USER": "root",
            "MYSQL_PASSWORD": "",
            "MYSQL_DATABASE": "test",
        },
        url="mysql://root@127.0.0.1:3306/test",
    ),
    "redis": Server(
        prepare=":",
        serve="redis-server --port 6379 --bind 127.0.0.1 --save '' --appendonly no --dir /data",
        probe="redis-cli -h 127.0.0.1 ping | grep -q PONG",
        env={"REDIS_URL": "redis://127.0.0.1:6379/0", "REDIS_HOST": "127.0.0.1", "REDIS_PORT": "6379"},
    ),
}


def environment(names: Iterable[str]) -> dict[str, str]:
    """The variables of a sandbox with these servers beside it; the first database is `DATABASE_URL`."""
    servers = [SERVERS[name] for name in names]
    found = {key: value for server in servers for key, value in server.env.items()}
    url = next((server.url for server in servers if server.url), None)
    return found if url is None else found | {"DATABASE_URL": url}
