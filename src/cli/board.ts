import { once } from 'node:events';
import type { Command } from 'commander';
import type { Board } from '../board/server.ts';
import { readBoardCredentials } from '../core/environment.ts';
import { EXIT } from '../core/errors.ts';
import type { ExitCode } from '../core/errors.ts';
import { defined } from '../core/json.ts';
import { openApp } from '../worker/app.ts';
import type { App } from '../worker/app.ts';
import {
  configOf,
  flag,
  globalFlags,
  isOn,
  listFlag,
  logOf,
  parseList,
  parsePort,
  providerFlags,
} from './flags.ts';
import type { GlobalFlags } from './flags.ts';
import type { Io } from './io.ts';
import { withReconnect } from './open-ledger.ts';
import { onInterrupt } from './signals.ts';

interface BoardFlags extends GlobalFlags {
  host: string;
  port: string;
  readOnly?: boolean;
  boardUser?: string;
  publicName?: string;
  trustedProxy?: string;
}

export function boardCommand(program: Command, io: Io, exit: (code: ExitCode) => void): void {
  const command = program
    .command('board')
    .description('Bull Board and the batch pages over HTTP; until SIGTERM')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch board
  $ vidbatch board --port 8080 --read-only
  $ VIDBATCH_BOARD_PASSWORD_FILE=password.txt vidbatch board --host 0.0.0.0 --board-user anna

Batches at /, Bull Board at /queues, JSON at /api/batches, a health check at /healthz (open to all who reach it).
Without credentials the board is for the user who starts it: open the URL that it prints, with its token. A program sends
\`Authorization: Bearer <token>\`; --json prints url and token. Each start makes a new token.
The password comes from VIDBATCH_BOARD_PASSWORD or VIDBATCH_BOARD_PASSWORD_FILE. HTTP Basic sends it as it is: put TLS
in front of an address of a network. Wrong passwords slow down the address that sends them. Behind a proxy, name the proxy with
--trusted-proxy, and let it set X-Forwarded-For: otherwise all people have one address.`,
    )
    .action(async (flags: BoardFlags) => exit(await board(flags, io)));
  providerFlags(globalFlags(command));
  flag(
    command,
    '--host <address>',
    'address to listen on; of this machine only, unless there are credentials',
    '127.0.0.1',
  );
  flag(command, '--port <n>', 'port to listen on; 0: any free one', '3000');
  flag(command, '--read-only', 'only show: every write is refused');
  flag(command, '--board-user <name>', 'the user name that opens it; needs a password');
  flag(command, '--public-name <host>', 'host name under which a proxy on this machine serves the board');
  listFlag(
    command,
    '--trusted-proxy <address>',
    'a proxy, or a network of them (10.0.0.0/8), whose X-Forwarded-For counts; may be repeated (default: no proxy)',
  );
}

async function board(flags: BoardFlags, io: Io): Promise<ExitCode> {
  // Loaded only here, so that other commands start faster.
  const { checkReach, startBoard } = await import('../board/server.ts');
  const config = configOf(flags);
  const credentials = readBoardCredentials(undefined, flags.boardUser);
  const reach = {
    host: flags.host,
    port: parsePort(flags.port),
    readOnly: isOn(flags.readOnly),
    ...defined({ credentials, publicName: flags.publicName }),
    trustedProxies: parseList(flags.trustedProxy),
  };
  checkReach(reach);
  const log = logOf(flags, 'warn');
  const interrupt = onInterrupt(io.quit);
  const { signal } = interrupt;
  let running: Board | undefined;
  try {
    const open = (): Promise<App> => openApp(config, 'reader', log);
    await withReconnect(config, log, signal, open, async (app, moving) => {
      for (const outage of app.outages) outage.logTo(log);
      if (running === undefined) {
        running = await startBoard({ app, ...reach, log, ...defined({ origin: config.baseUrl }) });
        const { url, token, entry } = running;
        io.out(
          flags.json === true
            ? JSON.stringify({ url, token: token ?? null, open: entry })
            : `listening on ${entry}`,
        );
      } else await running.show(app);
      if (!moving.aborted) await once(moving, 'abort');
      await running.show(undefined);
    });
    return EXIT.ok;
  } finally {
    interrupt.dispose();
    await running?.close();
  }
}
