import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { EXIT, usageError, VidbatchError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { shorten } from '../../core/text.ts';
import { requireBatch } from '../../ledger/batches.ts';
import { priceChosen } from '../../ledger/read/uncertain-groups.ts';
import { findSubmissionById } from '../../ledger/read/rows.ts';
import { findUncertain, readAsOf } from '../../ledger/read/uncertain.ts';
import { resolveRow } from '../../operate/resolve.ts';
import { evidenceOf } from '../../operate/unsettled.ts';
import { withoutKeys } from '../../results/audit/provider-file.ts';
import { findCandidates, type Candidates } from '../../results/audit/row-candidates.ts';
import type { AppContext, OpenedApp } from '../app-context.ts';
import { formToken, readForm } from '../access/forms.ts';
import { uploadOf, type Upload } from '../access/uploads.ts';
import { sendError, sendHtml } from '../responses.ts';
import {
  asOfOf,
  decisionOf,
  EMPTY_FORM,
  groupOfRow,
  groupPath,
  listOptionsOf,
  readSettleForm,
  reasonOf,
  type SettleForm,
} from './form.ts';
import { settlePage, type Answered, type SettleRow } from './row-page.ts';
import { noSuchRow, rowIdOf, rowPath } from '../url.ts';

interface Numbered {
  Params: { id: string };
}

/** A list of the provider, with the form around it. Larger ones are for `vidbatch reconcile --provider-file`. */
const LONGEST_LIST = 16 * 1024 * 1024 + 64 * 1024;
/** A browser shows no answer while it still sends. More than this is not waited for. */
const MOST_DRAINED = 1024 ** 3;
/** On a page there is room for more than on a terminal. */
const ON_A_PAGE = { headers: 4000, body: 2000, request: 8000 };

/** One row, its evidence, and the list of the provider. */
export function mountRows(server: FastifyInstance, context: AppContext, log: Logger): void {
  server.get<Numbered>('/rows/:id/settle', async (request, reply) => {
    const settle = await settleRow(context.opened(), request);
    if (settle === undefined)
      return reply.redirect(request.view.href(rowPath(Number(request.params.id))), 303);
    const fresh: Answered = { form: EMPTY_FORM, found: undefined, error: undefined };
    return sendHtml(reply, settlePage(request.view, settle, fresh, formToken(context)));
  });

  const options = { bodyLimit: LONGEST_LIST, errorHandler: tellTooLarge };
  server.post<Numbered>('/rows/:id/settle', options, async (request, reply) => {
    const opened = context.opened();
    const fields = readForm(context, request);
    const form = readSettleForm(fields);
    const file = uploadOf(fields, 'file');
    const id = requestedId(request);
    const before = await findUncertain(opened.db, id);
    let error: VidbatchError | undefined;
    if (form.do !== 'candidates') {
      error = await problemOf(() => decide(context, request, form, log));
      if (error === undefined) {
        context.forget();
        const path = before && groupPath(before.batch, groupOfRow(before), { settled: id });
        return reply.redirect(request.view.href(path ?? rowPath(id)), 303);
      }
    }
    const settle = await settleRow(opened, request);
    if (settle === undefined) throw error ?? noRow(request.params.id);
    let found: Answered['found'];
    if (form.do === 'candidates' || form.list.trim() !== '' || file !== undefined) {
      const problem = await problemOf(async () => {
        found = await candidatesOf(opened, settle, form, file);
      });
      error ??= problem;
    }
    if (error !== undefined) reply.code(400);
    return sendHtml(reply, settlePage(request.view, settle, { form, found, error }, formToken(context)));
  });
}

function requestedId({ params: { id } }: FastifyRequest<Numbered>): number {
  const found = rowIdOf(id);
  if (found === undefined) throw noRow(id);
  return found;
}

function noRow(id: string): VidbatchError {
  return noSuchRow(`there is no row number ${shorten(id, 40)}`);
}

/** The row and its evidence; undefined: it is not uncertain, or no longer. */
async function settleRow(
  { db, ledgerId }: OpenedApp,
  request: FastifyRequest<Numbered>,
): Promise<SettleRow | undefined> {
  const id = requestedId(request);
  const asOf = await readAsOf(db);
  const row = await findUncertain(db, id);
  if (row === undefined) return undefined;
  const { id: batchId } = await requireBatch(db, row.batch);
  return {
    row,
    asOf,
    evidence: evidenceOf(row, ledgerId, ON_A_PAGE),
    risk: await priceChosen(db, { batchId, submissionId: id }),
  };
}

/** Settles the row as the form says, by the rules of `vidbatch resolve`. */
async function decide(
  context: AppContext,
  request: FastifyRequest<Numbered>,
  form: SettleForm,
  log: Logger,
): Promise<void> {
  const { db } = context.opened();
  const id = requestedId(request);
  const row = await findSubmissionById(db, id, 0);
  if (row === undefined) throw noRow(request.params.id);
  const said = { who: context.who, reason: reasonOf(form.reason) };
  const batch = await requireBatch(db, row.batch);
  await resolveRow(db, batch, row.key, decisionOf(form), said, log, {
    asOf: asOfOf(form.asOf),
  });
}

/** Says what to do with a larger list, after the browser has sent it. Other errors are told as everywhere. */
async function tellTooLarge(error: Error & { code?: string }, request: FastifyRequest, reply: FastifyReply) {
  if (error.code !== 'FST_ERR_CTP_BODY_TOO_LARGE') throw error;
  let bytes = 0;
  for await (const chunk of request.raw as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MOST_DRAINED) break;
  }
  return sendError(
    request,
    reply,
    413,
    new VidbatchError(
      'LIST_TOO_LARGE',
      'the list is larger than 16 MB, so nothing was compared: `vidbatch reconcile --provider-file` reads files of any size',
    ),
  );
}

/** The tasks of the given list that the row may have made. */
async function candidatesOf(
  { db }: OpenedApp,
  { row }: SettleRow,
  form: SettleForm,
  file: Upload | undefined,
): Promise<Candidates> {
  const { submissionId, attempt } = row;
  if (attempt === null)
    throw usageError(
      'NO_EVIDENCE',
      'the ledger has lost the evidence of this row: no list can be compared with it',
    );
  if (file !== undefined && form.list.trim() !== '')
    throw usageError('TWO_LISTS', 'a list is pasted and a file is chosen: give one of them');
  const { zone, map } = listOptionsOf(form);
  const asked = { submissionId, origin: attempt.origin };
  return findCandidates(db, {
    list: file ?? form.list,
    zone,
    map,
    row: asked,
    redact: withoutKeys(undefined),
  });
}

/** The error of a person, which the page shows; undefined: it was done. */
async function problemOf(act: () => Promise<void>): Promise<VidbatchError | undefined> {
  try {
    await act();
    return undefined;
  } catch (error) {
    const theirs =
      error instanceof VidbatchError && (error.exitCode === EXIT.usage || error.exitCode === EXIT.refused);
    if (theirs) return error;
    throw error;
  }
}
