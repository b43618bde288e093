import type { FastifyInstance } from 'fastify';
import { usageError } from '../../core/errors.ts';

/** A file that a form has sent. */
export interface Upload {
  /** As the browser names it: only for its extension and for people. */
  name: string;
  bytes: Uint8Array;
}

/**
 * The routes of this server read forms with files, in memory: `bodyLimit` of a route says how large such a form may be.
 * Node's own parser of `fetch` reads them.
 */
export function readUploads(server: FastifyInstance): void {
  server.addContentTypeParser(
    /^multipart\/form-data/i,
    { parseAs: 'buffer' },
    async ({ headers }: { headers: { 'content-type'?: string | undefined } }, body: string | Buffer) => {
      const form = await parse(body, headers['content-type'] ?? '');
      const fields: Record<string, unknown> = {};
      for (const [name, value] of form) fields[name] = typeof value === 'string' ? value : await read(value);
      return fields;
    },
  );
}

async function parse(body: string | Buffer, type: string): Promise<FormData> {
  try {
    return await new Response(body, { headers: { 'content-type': type } }).formData();
  } catch {
    throw usageError('BAD_FORM', 'the form that was sent cannot be read; nothing was done');
  }
}

/** A browser sends an empty file without a name for a field in which no file was chosen. */
async function read(file: File): Promise<Upload | undefined> {
  if (file.name === '' && file.size === 0) return undefined;
  return { name: file.name, bytes: await file.bytes() };
}

/** The file of this field; undefined: none was chosen. */
export function uploadOf(body: unknown, field: string): Upload | undefined {
  const value = (body as Record<string, unknown> | null | undefined)?.[field];
  return typeof value === 'object' && value !== null ? (value as Upload) : undefined;
}
