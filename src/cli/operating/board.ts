import { once } from 'node:events';
import type { Command } from 'commander';
import { parsePublicPath } from '../../board/access/public-path.ts';
import type { Board } from '../../board/server.ts';
import { readWhatCanBe } from '../../core/config.ts';
import { readBoardCredentials } from '../../core/environment.ts';
import { EXIT, type ExitCode } from '../../core/errors.ts';
import { defined } from '../../core/json.ts';
import type { Check } from '../../operate/doctor/check.ts';
import type { Target } from '../../operate/notify/target.ts';
import { startNotifier } from '../../operate/notify/notifier.ts';
import { openApp, type App } from '../../worker/app.ts';
import {
  configOf,
  flag,
  globalFlags,
  isOn,
  listFlag,
  parseList,
  parsePort,
  providerFlags,
} from '../flags/flags.ts';
import type { Io } from '../output/io.ts';
import { logOf, serviceFormat } from '../log.ts';
import { notifyFlag, notifyTargets, type NotifyFlags } from '../flags/notify.ts';
import { withReconnect } from '../open-ledger.ts';
import { onInterrupt } from '../signals.ts';

interface BoardFlags extends NotifyFlags {
  host: string;
  port: string;
  readOnly?: boolean;
  boardUser?: string;
  publicName?: string;
  publicPath?: string;
  trustedProxy?: string;
}

export function boardCommand(program: Command, io: Io, exit: (code: ExitCode) => void): void {
  const command = program
    .command('board')
    .description('the console in a browser: batches, videos, cost, workers; until SIGTERM')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch board
  $ vidbatch board --port 8080 --read-only
  $ vidbatch board --notify https://hooks.slack.com/services/…     also tells when no worker is alive
  $ VIDBATCH_BOARD_PASSWORD_FILE=password.txt vidbatch board --host 0.0.0.0 --board-user anna

Batches at /, Bull Board at /queues, JSON at /api/batches, a health check at /healthz (open to all who reach it).
Without credentials the board is for the user who starts it: open the URL that it prints, with its token. A program sends
\`Authorization: Bearer <token>\`; --json prints url and token. Each start makes a new token.
The password comes from VIDBATCH_BOARD_PASSWORD or VIDBATCH_BOARD_PASSWORD_FILE. Browsers get a page to sign in,
programs send HTTP Basic. Both send it as it is: put TLS in front of an address of a network. Wrong passwords slow
down the address that sends them. Behind a proxy, name the proxy with --trusted-proxy, and let it set X-Forwarded-For.
Otherwise all people have one address.`,
    )
    .action(async (flags: BoardFlags) => exit(await board(flags, io)));
  notifyFlag(providerFlags(globalFlags(command)));
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
  flag(
    command,
    '--public-path <path>',
    'path under which a proxy serves the board, such as /vidbatch; the proxy may keep it or take it away',
  );
  listFlag(
    command,
    '--trusted-proxy <address>',
    'a proxy, or a network of them (10.0.0.0/8), whose X-Forwarded-For counts; may be repeated (default: no proxy)',
  );
}

async function board(flags: BoardFlags, io: Io): Promise<ExitCode> {
  // Loaded only here, so that other commands start faster.
  const { checkReach, startBoard } = await import('../../board/server.ts');
  const config = configOf(flags);
  const credentials = readBoardCredentials(undefined, flags.boardUser);
  const reach = {
    host: flags.host,
    port: parsePort(flags.port),
    readOnly: isOn(flags.readOnly),
    ...defined({ credentials, publicName: flags.publicName }),
    publicPath: parsePublicPath(flags.publicPath),
    trustedProxies: parseList(flags.trustedProxy),
  };
  checkReach(reach);
  const targets = notifyTargets(flags);
  const log = logOf(flags, 'warn', { format: serviceFormat() });
  const interrupt = onInterrupt(io.quit);
  const { signal } = interrupt;
  let running: Board | undefined;
  try {
    const open = (): Promise<App> => openApp(config, 'reader', log);
    await withReconnect(config, log, signal, open, async (app, moving) => {
      for (const outage of app.outages) outage.logTo(log);
      if (running === undefined) {
        const check = (): AsyncIterable<Check> => checksOf(flags, targets);
        running = await startBoard({ app, ...reach, log, check, ...defined({ origin: config.baseUrl }) });
        const { url, token, entry } = running;
        io.out(
          flags.json === true
            ? JSON.stringify({ url, token: token ?? null, open: entry })
            : `listening on ${entry}`,
        );
      } else await running.show(app);
      const notifier = await startNotifier(app, targets, { apiKey: config.apiKey, log });
      if (!moving.aborted) await once(moving, 'abort');
      await running.show(undefined);
      await notifier.stop();
    });
    return EXIT.ok;
  } finally {
    interrupt.dispose();
    await running?.close();
  }
}

/** The checks of the doctor, of this machine and this configuration. They are loaded only if a person asks for them. */
async function* checksOf(flags: BoardFlags, targets: readonly Target[]): AsyncGenerator<Check> {
  const { thisMachine } = await import('../../operate/doctor/configuration.ts');
  const { runChecks } = await import('../../operate/doctor/doctor.ts');
  yield* runChecks({ ...readWhatCanBe(undefined, flags), targets, sends: false }, thisMachine());
}
