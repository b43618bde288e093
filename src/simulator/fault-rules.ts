import { z } from 'zod';
import { usageError } from '../core/errors.ts';
import { defined } from '../core/json.ts';
import { parseResultFaultName, type ResultFaultName } from './delivery.ts';
import { faultKind, parseFaultName, type ChosenFault } from './fault.ts';
import { type Mistake, parseMistakeName } from './mistake.ts';
import { checked, lifePatch, type TaskLife } from './settings.ts';

const schema = z.strictObject({
  /** The requests that the rule counts. `query` and `result` are GETs of a task or its video. */
  on: z.enum(['create', 'query', 'result']).default('create'),
  match: z
    .strictObject({
      /** Part of the prompt; absent: every request. */
      prompt: z.string().min(1).optional(),
      /** The first matching request that gets the fault, counted since the rule was added. */
      nth: z.int().min(1).optional(),
      /** The number of faults. Default: one with `nth`, or else no limit. */
      times: z.int().min(1).optional(),
    })
    .default({}),
  /** `name`, `name:created` or `name:not-created`. */
  fault: z.string().optional(),
  /** Another way to give the variant. */
  created: z.boolean().optional(),
  /** The life of the tasks of matching prompts; not counted, and not for `query`. */
  task: lifePatch.optional(),
  /** The mistake of the provider files about matching prompts; not counted, and not for `query`. */
  mistake: z.string().optional(),
});

export type RuleInput = z.input<typeof schema>;

interface Rule {
  on: 'create' | 'query' | 'result';
  prompt: string;
  nth: number;
  times: number;
  seen: number;
  fault: ChosenFault | undefined;
  resultFault: ResultFaultName | undefined;
  task: Partial<TaskLife> | undefined;
  mistake: Mistake | undefined;
}

/** Rules in the order in which they were added; the first match wins. */
export class Rules {
  #rules: Rule[] = [];

  /** Throws a usage error when the rule is wrong or could never apply. */
  add(input: unknown): void {
    this.#rules.push(readRule(input));
  }

  clear(): void {
    this.#rules = [];
  }

  /** The fault for a request before its body is read. */
  atHead(): ChosenFault | undefined {
    return this.#strike((rule) => rule.on === 'create' && strikesAtHead(rule))?.fault;
  }

  /** The fault for a create, or for a query of a task, with this prompt. */
  atBody(on: 'create' | 'query', prompt: string): ChosenFault | undefined {
    return this.#strike((rule) => rule.on === on && !strikesAtHead(rule) && prompt.includes(rule.prompt))
      ?.fault;
  }

  /** The fault for a GET of the video that this prompt made. */
  atResult(prompt: string): ResultFaultName | undefined {
    return this.#strike((rule) => rule.on === 'result' && prompt.includes(rule.prompt))?.resultFault;
  }

  /** The life of a task by the rules; later rules win. */
  life(prompt: string): Partial<TaskLife> {
    const parts = this.#rules.filter((rule) => rule.task !== undefined && prompt.includes(rule.prompt));
    return Object.assign({}, ...parts.map((rule) => rule.task)) as Partial<TaskLife>;
  }

  /** The mistake of the provider files about this prompt; the first rule wins. */
  mistake(prompt: string): Mistake | undefined {
    return this.#rules.find((rule) => rule.mistake !== undefined && prompt.includes(rule.prompt))?.mistake;
  }

  #strike(concerns: (rule: Rule) => boolean): Rule | undefined {
    let struck: Rule | undefined;
    for (const rule of this.#rules) {
      if ((rule.fault ?? rule.resultFault) === undefined || !concerns(rule)) continue;
      rule.seen += 1;
      if (struck !== undefined || rule.seen < rule.nth || rule.times === 0) continue;
      rule.times -= 1;
      struck = rule;
    }
    return struck;
  }
}

function readRule(input: unknown): Rule {
  const { on, match, fault, created, task, mistake } = checked('rule', schema, input);
  if ([fault, task, mistake].filter((part) => part !== undefined).length !== 1) {
    throw usageError('simulator-rule', 'rule: needs either fault or task, or mistake');
  }
  const variant = created === undefined || fault?.includes(':') ? '' : created ? ':created' : ':not-created';
  const rule: Rule = {
    on,
    prompt: match.prompt ?? '',
    nth: match.nth ?? 1,
    times: match.times ?? (match.nth === undefined ? Infinity : 1),
    seen: 0,
    fault: fault === undefined || on === 'result' ? undefined : parseFaultName(fault + variant),
    resultFault: fault === undefined || on !== 'result' ? undefined : parseResultFaultName(fault + variant),
    task: task === undefined ? undefined : defined(task),
    mistake: mistake === undefined ? undefined : parseMistakeName(mistake),
  };
  if (rule.prompt !== '' && strikesAtHead(rule)) {
    throw usageError(
      'simulator-rule',
      'rule: reset-before-body strikes before the prompt is read; match by nth',
    );
  }
  return rule;
}

/** Whether the fault happens before the body is read. */
export function beforeBody(fault: ChosenFault | undefined): boolean {
  if (fault === undefined) return false;
  const { behaviour } = faultKind(fault);
  return behaviour.does === 'reset' && behaviour.when === 'before-body';
}

function strikesAtHead(rule: Rule): boolean {
  return rule.on === 'create' && beforeBody(rule.fault);
}
