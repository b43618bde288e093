import type { Command } from 'commander';
import { readNotifySecret } from '../../core/environment.ts';
import { parseTargets, type Target } from '../../operate/notify/target.ts';
import { isOn, listFlag, parseList, type GlobalFlags } from './flags.ts';

export interface NotifyFlags extends GlobalFlags {
  notify?: string;
}

/** For commands that see what happens in a ledger for some time. */
export function notifyFlag(command: Command): Command {
  return listFlag(
    command,
    '--notify <url>',
    'tell this URL what happens: batches done, halts, budgets, uncertain rows, failed schedules, no worker; may be repeated (default: no URL)',
  );
}

/** @throws VidbatchError exit 2 for a URL that cannot be used. */
export function notifyTargets({ notify, allowHttp }: NotifyFlags): Target[] {
  return parseTargets(parseList(notify), { allowHttp: isOn(allowHttp), secret: readNotifySecret() });
}
