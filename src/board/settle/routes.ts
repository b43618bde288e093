import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Logger } from '../../core/log.ts';
import { moneyJson } from '../../core/money/money.ts';
import { NOTHING } from '../../core/html.ts';
import { requireBatch, type Batch } from '../../ledger/batches.ts';
import {
  groupUncertain,
  listUncertain,
  priceChosen,
  type Grouped,
} from '../../ledger/read/uncertain-groups.ts';
import type { Queryable } from '../../database/database.ts';
import { findSubmissionById, type SubmissionView } from '../../ledger/read/rows.ts';
import { countChosen, listSurplus, type Unsettled } from '../../ledger/read/uncertain.ts';
import { agreedRows, previewResolve, resolveRows } from '../../operate/resolve.ts';
import type { AppContext } from '../app-context.ts';
import { formToken, readForm, readForms } from '../access/forms.ts';
import { sendHtml } from '../responses.ts';
import { asOfOf, fieldOf, groupOf, reasonOf, sharedDecisionOf, uncertainPath } from './form.ts';
import { confirmPage, groupForm, groupPage, type GroupRows } from './group-page.ts';
import { MOST_SURPLUS, settledLines, uncertainPage } from './pages.ts';
import { readUploads } from '../access/uploads.ts';
import { parsePage } from '../url.ts';
import { mountRows } from './row-routes.ts';

interface Named {
  Params: { name: string };
}

const MOST_GROUPS = 100;
const ROWS_A_PAGE = 200;
/** The pages that settle uncertain rows. Decisions and their rules are those of `vidbatch resolve`. */
export function mountSettling(server: FastifyInstance, context: AppContext, log: Logger): void {
  mountGroups(server, context);
  // Only these routes read forms.
  void server.register((scope, _options, ready) => {
    readForms(scope);
    readUploads(scope);
    mountGroupRows(scope, context);
    mountRows(scope, context, log);
    ready();
  });
}

/** Uncertain rows by what happened to them. */
function mountGroups(server: FastifyInstance, context: AppContext): void {
  server.get('/uncertain', async (request, reply) =>
    sendHtml(reply, uncertainPage(request.view, await grouped(context), undefined, await surplusOf(context))),
  );

  server.get('/api/uncertain', async (_request, reply) => reply.send(groupedJson(await grouped(context))));

  server.get<Named>('/batches/:name/uncertain', async (request, reply) => {
    const { name, id } = await batchOf(context, request);
    const surplus = await surplusOf(context, id);
    return sendHtml(reply, uncertainPage(request.view, await grouped(context, id), name, surplus));
  });

  server.get<Named>('/api/batches/:name/uncertain', async (request, reply) => {
    const { id } = await batchOf(context, request);
    return reply.send(groupedJson(await grouped(context, id)));
  });
}

/** The rows of one group, which are settled at once. */
function mountGroupRows(server: FastifyInstance, context: AppContext): void {
  server.get<Named>('/batches/:name/uncertain/rows', async (request, reply) => {
    const { db } = context.opened();
    const batch = await batchOf(context, request);
    const group = groupOf(request.query);
    const choice = { ...group, batchId: batch.id };
    const { rows: all, waiting, until } = await countChosen(db, choice);
    const pages = Math.max(1, Math.ceil(all / ROWS_A_PAGE));
    const page = Math.min(parsePage(request.query), pages);
    const start = (page - 1) * ROWS_A_PAGE;
    const rows = await listUncertain(db, choice, { start, limit: ROWS_A_PAGE });
    const shown: GroupRows = {
      group,
      rows,
      all,
      page,
      pages,
      start,
      waiting,
      until,
      risk: await priceChosen(db, choice),
      settled: await settledRow(db, request.query),
    };
    const { view } = request;
    const form = view.readOnly ? NOTHING : groupForm(view, batch.name, group, formToken(context));
    return sendHtml(reply, groupPage(view, batch.name, shown, form));
  });

  server.post<Named>('/batches/:name/uncertain/rows', async (request, reply) => {
    const { db } = context.opened();
    const batch = await batchOf(context, request);
    const fields = readForm(context, request);
    const group = groupOf(fields);
    const decision = sharedDecisionOf(fieldOf(fields, 'do'));
    const reason = reasonOf(fieldOf(fields, 'reason'));
    const agreed = readAgreement(fields);
    if (agreed === undefined) {
      const preview = await previewResolve(db, batch, group, decision);
      const risk = await priceChosen(db, agreedRows(batch, group, decision, preview.asOf));
      const asked = { batch: batch.name, group, decision: decision.kind, reason, preview, risk };
      return sendHtml(reply, confirmPage(request.view, asked, formToken(context)));
    }
    const { asOf, rows, early } = agreed;
    const seen = agreedRows(batch, group, decision, asOf);
    const moved = await resolveRows(db, decision, seen, { who: context.who, reason });
    const meanwhile = Math.max(0, rows - moved.pending - moved.cancelled - moved.abandoned);
    context.forget();
    const notice = context.notices.keep(settledLines(request.view, { ...moved, meanwhile, early }));
    return reply.redirect(request.view.href(`${uncertainPath(batch.name)}?done=${notice}`), 303);
  });
}

/** What a person agreed to on the page that asks; undefined: they were not asked yet. */
function readAgreement(body: unknown): { asOf: string; rows: number; early: number } | undefined {
  if (fieldOf(body, 'asOf') === '') return undefined;
  return { asOf: asOfOf(fieldOf(body, 'asOf')), rows: countOf(body, 'rows'), early: countOf(body, 'early') };
}

function countOf(fields: unknown, name: string): number {
  const text = fieldOf(fields, name);
  return /^\d{1,9}$/.test(text) ? Number(text) : 0;
}

function grouped(context: AppContext, batchId: number | null = null): Promise<Grouped> {
  return groupUncertain(context.opened().db, batchId, MOST_GROUPS);
}

function surplusOf(context: AppContext, batchId: number | null = null): Promise<Unsettled[]> {
  return listSurplus(context.opened().db, batchId, MOST_SURPLUS + 1);
}

function groupedJson({ rows, groupCount, groups }: Grouped): object {
  return {
    rows,
    groupCount,
    groups: groups.map((group) => ({ ...group, atRisk: group.atRisk.map(moneyJson) })),
  };
}

function batchOf(context: AppContext, { params: { name } }: FastifyRequest<Named>): Promise<Batch> {
  // Postgres refuses text that contains NUL.
  return requireBatch(context.opened().db, name.replaceAll('\0', ''));
}

/** The row that was settled just now, by the number in the query; undefined: none, or it is uncertain. */
async function settledRow(db: Queryable, query: unknown): Promise<SubmissionView | undefined> {
  const id = countOf(query, 'settled');
  const row = id === 0 ? undefined : await findSubmissionById(db, id, 0);
  return row?.state === 'uncertain' ? undefined : row;
}
