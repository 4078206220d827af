/** Tells systemd that a service of `Type=notify` is ready. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { log } from '../log.js';

/** Does nothing where systemd did not start this process. Node speaks no datagrams over Unix sockets; systemd's own tool does. */
export async function tellSystemd(status: string): Promise<void> {
  if (!process.env.NOTIFY_SOCKET) return;
  const told = promisify(execFile)('systemd-notify', ['--ready', `--status=${status}`]);
  await told.catch((error: Error) => log.warning(`systemd could not be told that this is ready: ${error.message}`));
}
