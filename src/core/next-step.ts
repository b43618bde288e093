import type { State } from './states.ts';
import { quoted } from './text.ts';
import { tellUtc, type TellTime } from './time/tell-time.ts';
import { isSettled } from './task-status.ts';

interface Standing {
  batch: string;
  key: string;
  state: State;
  deadline: Date | null;
  providerStatus: string | null;
}

/** The command that makes failed tasks again. */
export function remakeLine(batch: string, key?: string): string {
  return `vidbatch retry ${quoted(batch)} --failed-tasks${key === undefined ? '' : ` --key ${quoted(key)}`}`;
}

/** What a person can do now. */
export function nextStep(row: Standing, tell: TellTime = tellUtc): string {
  const batch = quoted(row.batch);
  switch (row.state) {
    case 'pending':
      return 'a worker sends it when nothing keeps it waiting: `vidbatch work --drain` starts a worker';
    case 'submitting':
      return `in flight; judged by ${row.deadline === null ? 'its deadline' : tell(row.deadline)} at the latest`;
    case 'submitted':
      if (row.providerStatus === 'missing')
        return `look for it in the provider's own task list; \`vidbatch reconcile ${batch}\` polls it again`;
      if (row.providerStatus === 'completed') {
        return `\`vidbatch download ${batch}\` fetches the videos, \`vidbatch export ${batch}\` lists all rows`;
      }
      if (row.providerStatus === 'failed') {
        return `the provider failed to make this video; \`${remakeLine(row.batch, row.key)}\` makes it again, and pays for it again`;
      }
      return isSettled(row.providerStatus)
        ? `\`vidbatch export ${batch}\``
        : `\`vidbatch reconcile ${batch}\` asks for its status`;
    case 'uncertain':
      return `look for it in the provider's own task list, then \`${resolveLine(row)} --task-id <id>\`, or \`--not-sent\` if it is not there, or \`--abandon\`; each with \`--reason <text>\`. It is never sent again by itself`;
    case 'rejected':
    case 'invalid':
      return `correct the row in the manifest and submit it again, or \`vidbatch retry ${batch} --changed <manifest>\`${row.state === 'rejected' ? `; as it is: \`vidbatch retry ${batch} --key ${quoted(row.key)}\`` : ''}`;
    case 'exhausted':
    case 'cancelled':
      return `\`vidbatch retry ${batch}\``;
    case 'abandoned':
      return 'nothing: a person has given it up';
  }
}

/** `vidbatch resolve text shot-007`, as a shell takes it. */
export function resolveLine({ batch, key }: { batch: string; key: string }): string {
  return `vidbatch resolve ${quoted(batch)} ${quoted(key)}`;
}
