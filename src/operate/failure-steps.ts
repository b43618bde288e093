import { remakeLine } from '../core/next-step.ts';
import { quoted } from '../core/text.ts';
import type { FailureGroup } from '../ledger/read/failures.ts';

export interface Step {
  command: string;
  /** What it is for, in one or two words. */
  what: string;
}

/** `TaskPromptPolicyViolation · HTTP 400`. Empty: neither is known. */
export function formatCause({ code, httpStatus }: Pick<FailureGroup, 'code' | 'httpStatus'>): string {
  return [code, httpStatus === null ? null : `HTTP ${httpStatus}`]
    .filter((part) => part !== null)
    .join(' · ');
}

/** The commands that help, the cheapest first. */
export function nextSteps({ kind, batch, code }: FailureGroup): Step[] {
  const name = quoted(batch);
  if (kind === 'task') return [{ what: 'pay again', command: remakeLine(batch) }];
  const chosen = `--state ${kind}${code === null ? '' : ` --error-code ${quoted(code)}`}`;
  const file = quoted(`${batch}.failed.csv`);
  const correct: Step[] = [
    { what: 'correct', command: `vidbatch export ${name} ${chosen} > ${file}` },
    { what: 'then', command: `vidbatch retry ${name} --changed ${file}` },
  ];
  const again: Step = { what: 'as it is', command: `vidbatch retry ${name} ${chosen}` };
  if (kind === 'exhausted') return [again];
  return kind === 'invalid' ? correct : [...correct, again];
}
