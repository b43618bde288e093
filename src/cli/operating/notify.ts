import type { Command } from 'commander';
import { EXIT, usageError, VidbatchError, type ExitCode } from '../../core/errors.ts';
import { operator } from '../../core/operator.ts';
import { plural } from '../../core/units.ts';
import { flag, globalFlags, isOn } from '../flags/flags.ts';
import type { Io } from '../output/io.ts';
import { notifyFlag, notifyTargets, type NotifyFlags } from '../flags/notify.ts';

export function notifyCommand(program: Command, io: Io, exit: (code: ExitCode) => void): void {
  const notify = program
    .command('notify')
    .description('try out where notifications go')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch notify test --notify https://example.com/hook
  $ VIDBATCH_NOTIFY=https://hooks.slack.com/services/… vidbatch notify test

\`work\`, \`run\` and \`board\` take --notify, and tell each URL what happens. The format follows from the host (Slack, DingTalk,
Feishu or Lark, WeCom), or from a prefix such as slack+https://…; any other host gets JSON.`,
    );
  const test = notify
    .command('test')
    .description('send one test message to each URL; needs no ledger')
    .action(async (flags: NotifyFlags) => exit(await sendTests(flags, io)));
  notifyFlag(globalFlags(test));
  flag(test, '--allow-http', 'plain http to a host that is not this machine');
}

async function sendTests(flags: NotifyFlags, io: Io): Promise<ExitCode> {
  const targets = notifyTargets(flags);
  if (targets.length === 0)
    throw usageError('NO_NOTIFY_URL', 'no URL is given', 'Give --notify <url>, or set VIDBATCH_NOTIFY.');
  const { sendTest } = await import('../../operate/notify/post.ts');
  let failures = 0;
  for await (const { target, failure } of sendTest(targets, operator())) {
    if (failure !== undefined) failures += 1;
    if (isOn(flags.json))
      io.out(JSON.stringify({ target, delivered: failure === undefined, reason: failure ?? null }));
    else io.out(failure === undefined ? `${target}: delivered` : `${target}: not delivered: ${failure}`);
  }
  if (failures === 0) return EXIT.ok;
  throw new VidbatchError(
    'NOT_NOTIFIED',
    `${plural(failures, 'test message was', 'test messages were')} not delivered`,
    {
      hint: 'Check the URL and its secret; docs/notifications.md shows what each format needs.',
    },
  );
}
