/**
 * `node test/supervisor.ts redis|postgres|pgbouncer [manner]`: runs one private server in a temporary folder for as long
 * as somebody holds its standard input. However the holder ends, also by `kill -9`, the kernel closes that pipe; then
 * the server is stopped and its folder removed. Prints one line of JSON for each start; the line `restart` on standard
 * input starts a server that was killed once more, on the same port and the same files.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ServerKind } from './binaries.ts';
import { planPgbouncer, planPostgres, planRedis, type Manner, type Plan } from './plan.ts';

export interface Started {
  url: string;
  pid: number;
  version: string;
  /** Of a server with TLS: the file of the certificate that it shows, which nobody trusts by himself. */
  certificate?: string;
  /** Of a node of a cluster: where the others reach it. */
  busPort?: number;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return port;
}

/** Resolves once the server says that it is ready; rejects with what it said when it ends first. */
function start(plan: Plan, folder: string, port: number): Promise<ChildProcess> {
  const [file, args] = plan.command(port);
  const server = spawn(file, args, { ...plan.as, cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  return new Promise((resolve, reject) => {
    let said = '';
    const listen = (text: string): void => {
      said = (said + text).slice(-4000);
      if (plan.ready.test(said)) resolve(server);
    };
    server.stdout.setEncoding('utf8').on('data', listen);
    server.stderr.setEncoding('utf8').on('data', listen);
    server.once('error', reject);
    server.once('close', () => reject(new Error(`${file} ended: ${said}`)));
  });
}

async function supervise(kind: ServerKind, manner: Manner): Promise<void> {
  // Ctrl-C reaches the whole group; the holder's end is what counts.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => undefined);
  const folder = mkdtempSync(join(tmpdir(), `vidbatch-${kind}-`));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const plan = {
    redis: (busPort: number) => planRedis(folder, manner, busPort),
    postgres: () => planPostgres(folder, manner),
    pgbouncer: () => planPgbouncer(folder, manner),
  }[kind](await freePort());
  let port = await freePort();
  let server: ChildProcess | undefined;
  const tell = (): void => {
    const { version, certificate, busPort } = plan;
    const started: Partial<Started> = {
      url: plan.url(port),
      version,
      ...(certificate === undefined ? {} : { certificate }),
      ...(busPort === undefined ? {} : { busPort }),
    };
    if (server?.pid !== undefined) started.pid = server.pid;
    process.stdout.write(`${JSON.stringify(started)}\n`);
  };
  for (let tries = 1; server === undefined; tries += 1) {
    try {
      server = await start(plan, folder, port);
    } catch (error) {
      // Somebody else may have taken the port in between.
      if (tries === 3) throw error;
      port = await freePort();
    }
  }
  tell();
  for await (const line of createInterface({ input: process.stdin })) {
    if (line !== 'restart') continue;
    await ended(server);
    server = await start(plan, folder, port);
    tell();
  }
  server.kill(plan.stopWith);
  await ended(server);
}

async function ended(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  await new Promise((resolve) => {
    server.once('close', resolve);
  });
}

await supervise(process.argv[2] as ServerKind, JSON.parse(process.argv[3] ?? '{}') as Manner);
