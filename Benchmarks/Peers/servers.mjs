// The servers on Node, as `tcpload` calls them.
//
//   node servers.mjs echo
//   node servers.mjs unix PATH
//
// Prints its port when it listens. Exits with 3 where the work is none of these.
import { createServer } from 'node:net';

const [, , work, path] = process.argv;

const DECLINED = 3;

if (work !== 'echo' && work !== 'unix') process.exit(DECLINED);

const server = createServer({ noDelay: true }, (socket) => {
  // A connection that was reset ends alone.
  socket.on('error', () => socket.destroy());
  socket.pipe(socket);
});
const where = work === 'unix' ? { path } : { host: '127.0.0.1', port: 0 };
server.listen({ ...where, backlog: 4096 }, () => console.log(server.address().port ?? 0));
