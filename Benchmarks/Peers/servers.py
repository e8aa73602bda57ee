"""The servers on asyncio's streams and datagrams, and on uvloop where that is installed, as `tcpload` calls them.

    python3 servers.py asyncio|uvloop echo
    python3 servers.py asyncio|uvloop unix PATH
    python3 servers.py asyncio|uvloop lines
    python3 servers.py asyncio|uvloop udp

Prints its port when it listens. Exits with 3 where the work is none of these.
"""

import asyncio
import sys

DECLINED = 3


def new_loop(name):
    if name == "asyncio":
        return asyncio.new_event_loop()
    import uvloop

    return uvloop.new_event_loop()


async def echo(reader, writer):
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()


async def lines(reader, writer):
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()


def connection(work):
    async def serve(reader, writer):
        try:
            await work(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    return serve


class Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.transport.sendto(data, address)


WORKS = {"echo": echo, "unix": echo, "lines": lines}


async def serve_datagrams():
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Datagrams, ("127.0.0.1", 0))
    print(transport.get_extra_info("sockname")[1], flush=True)
    await loop.create_future()


async def main():
    if sys.argv[2] == "udp":
        return await serve_datagrams()
    serve = connection(WORKS[sys.argv[2]])
    if sys.argv[2] == "unix":
        server = await asyncio.start_unix_server(serve, sys.argv[3], backlog=4_096)
        print(0, flush=True)
    else:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=4_096)
        print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if sys.argv[2] not in WORKS and sys.argv[2] != "udp":
    sys.exit(DECLINED)
new_loop(sys.argv[1]).run_until_complete(main())
