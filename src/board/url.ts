import { usageError, VidbatchError } from '../core/errors.ts';
import { rowsSearch, type PagePlace, type RowsQuery } from './row-query.ts';

/** Bull Board is below this path. */
export const QUEUES_PATH = '/queues';

/** The checks of `vidbatch doctor`. */
export const DOCTOR_PATH = '/doctor';

/** @throws VidbatchError exit 2 for anything but a number from 1. */
export function parsePage(query: unknown): number {
  const { page: text } = query as Record<string, unknown>;
  if (text === undefined || text === '') return 1;
  if (typeof text !== 'string' || !/^[1-9]\d{0,6}$/.test(text)) {
    throw usageError('BAD_PAGE', 'page: is not a number from 1');
  }
  return Number(text);
}

/** One text of a query; undefined: it is not given. */
export function parseText(query: unknown, name: string): string | undefined {
  const text = (query as Record<string, unknown>)[name];
  return typeof text === 'string' && text.trim() !== '' ? text.trim() : undefined;
}

/** The number of a row in a path; undefined: it is not a number. */
export function rowIdOf(text: string): number | undefined {
  return /^[1-9]\d{0,14}$/.test(text) ? Number(text) : undefined;
}

/** The rows of a batch: those that are asked for, or all of them in the order of the manifest. */
export function batchPath(name: string, asked: Partial<RowsQuery> = {}, page: PagePlace = {}): string {
  return `/batches/${encodeURIComponent(name)}${rowsSearch(asked, page)}`;
}

/** The videos of a batch. */
export function videosPath(name: string, asked: Partial<RowsQuery> = {}, page: PagePlace = {}): string {
  return `/batches/${encodeURIComponent(name)}/videos${rowsSearch(asked, page)}`;
}

export function rowPath(id: number): string {
  return `/rows/${id}`;
}

export function noSuchRow(message: string): VidbatchError {
  return new VidbatchError('NO_SUCH_ROW', message);
}
