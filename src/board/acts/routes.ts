import type { FastifyInstance, FastifyRequest } from 'fastify';
import { usageError } from '../../core/errors.ts';
import { shorten } from '../../core/text.ts';
import type { AppContext } from '../app-context.ts';
import { formToken, readForm, readForms } from '../access/forms.ts';
import { sendHtml, sendRefusal, type Refusal } from '../responses.ts';
import type { Act, Asked, Plan } from './act.ts';
import { budgetAct } from './budget-act.ts';
import { cancelAct, pauseAct, priorityAct, resumeAct } from './batch-acts.ts';
import { actPage, SEEN_FIELD, TYPED_FIELD } from './page.ts';
import { remakeAct, retryAct } from './retry-acts.ts';
import { pauseScheduleAct, resumeScheduleAct, triggerAct } from './schedule-acts.ts';

/** Every act of the console, by the name in its path, with the fields that it reads. */
const ACTS: Readonly<Record<string, { act: Act; reads: readonly string[] }>> = {
  pause: { act: pauseAct, reads: ['batch', 'model', 'reason'] },
  resume: { act: resumeAct, reads: ['batch', 'model'] },
  cancel: { act: cancelAct, reads: ['batch'] },
  retry: { act: retryAct, reads: ['batch', 'state', 'code'] },
  'retry-failed-tasks': { act: remakeAct, reads: ['batch'] },
  priority: { act: priorityAct, reads: ['batch', 'priority'] },
  budget: { act: budgetAct, reads: ['batch', 'budget'] },
  'schedule-pause': { act: pauseScheduleAct, reads: ['schedule'] },
  'schedule-resume': { act: resumeScheduleAct, reads: ['schedule'] },
  'schedule-trigger': { act: triggerAct, reads: ['schedule'] },
};

/**
 * The acts: a page that says what an act concerns (GET), and the act itself (POST). A form of that page leads back to a
 * page with a notice. A program may post the same fields as JSON, and gets JSON.
 */
export function mountActs(server: FastifyInstance, context: AppContext): void {
  // Only these routes read forms.
  void server.register((scope, _options, ready) => {
    readForms(scope);
    for (const [name, { act, reads }] of Object.entries(ACTS)) {
      const planOf = (request: FastifyRequest, asked: Asked): Promise<Plan> =>
        act(request.view, { db: context.opened().db, who: context.who, origin: context.origin }, asked);

      scope.get(`/act/${name}`, async (request, reply) => {
        if (context.readOnly) return sendRefusal(request, reply.header('allow', 'GET, HEAD'), READ_ONLY);
        const plan = await planOf(request, askedOf(request.query, reads));
        return sendHtml(reply, actPage(request.view, { act: name, plan, token: formToken(context) }));
      });

      scope.post(`/act/${name}`, async (request, reply) => {
        const isForm = FORM.test(request.headers['content-type'] ?? '');
        const asked = askedOf(isForm ? readForm(context, request) : request.body, reads);
        refuseQuery(request);
        const plan = await planOf(request, asked);
        const problem = problemOf(request, plan, asked, isForm);
        if (problem !== undefined) {
          const { status, code, message } = problem;
          reply.code(status);
          if (!isForm) return reply.send({ error: { code, message } });
          const token = formToken(context);
          return sendHtml(reply, actPage(request.view, { act: name, plan, token, problem: message }));
        }
        const lines = await plan.run();
        context.forget();
        if (!isForm) return reply.send({ done: true, notice: lines });
        const done = `${plan.back.includes('?') ? '&' : '?'}done=${context.notices.keep(lines)}`;
        return reply.redirect(request.view.href(`${plan.back}${done}`), 303);
      });
    }
    ready();
  });
}

const FORM = /^application\/x-www-form-urlencoded/i;

const READ_ONLY: Refusal = {
  status: 405,
  code: 'READ_ONLY',
  message: 'this board is read-only, so it has no acts. Use the command line',
};

/** Why the act is not done. */
interface Problem {
  status: 400 | 409;
  code: string;
  message: string;
}

function problemOf({ view }: FastifyRequest, plan: Plan, asked: Asked, isForm: boolean): Problem | undefined {
  const { say } = view;
  const { seen, typed, idle = false } = plan;
  // A program did not see a page. It says what it wants, as a command does.
  if (isForm && seen !== undefined && asked[SEEN_FIELD] !== seen) {
    return {
      status: 409,
      code: 'CHANGED',
      message: say('Nothing was done: it has changed since you saw it. Look again.'),
    };
  }
  if (!isForm && plan.asks === true && asked['yes'] !== 'true') {
    return { status: 400, code: 'NOT_CONFIRMED', message: `${plan.title}: send "yes": true to agree` };
  }
  if (idle) return { status: 409, code: 'NOTHING_TO_DO', message: say('There is nothing to do.') };
  if (typed !== undefined && asked[TYPED_FIELD]?.trim() !== typed) {
    return {
      status: 400,
      code: 'NOT_CONFIRMED',
      message: say('Nothing was done: type {word} to agree to paying again.', { word: typed }),
    };
  }
  return undefined;
}

/** Fields that every act may have: of its form, or a program's consent. */
const COMMON = ['token', SEEN_FIELD, TYPED_FIELD, 'yes'];

/** Without a batch, an act means all batches. So a batch in the query must not be overlooked. */
function refuseQuery({ query }: FastifyRequest): void {
  const [name] = Object.keys(query as object);
  if (name !== undefined) {
    throw usageError('BAD_FIELDS', `${shorten(name, 40)} is in the query of the URL; send it in the body`);
  }
}

/** The fields as text. @throws VidbatchError exit 2 for a field that the act does not read: a misspelled `batch` would mean all. */
function askedOf(given: unknown, reads: readonly string[]): Asked {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw usageError('BAD_FIELDS', `the body is no JSON object; its fields are ${reads.join(', ')}`);
  }
  const asked: Record<string, string> = {};
  for (const [name, value] of Object.entries(given)) {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    if (![...reads, ...COMMON].includes(name)) {
      throw usageError(
        'BAD_FIELDS',
        `there is no field ${shorten(name, 40)}; allowed are ${reads.join(', ')}`,
      );
    }
    if (typeof value === 'object' || text.includes('\0')) {
      throw usageError('BAD_FIELDS', `${name} is not one text or number`);
    }
    asked[name] = text;
  }
  return asked;
}
