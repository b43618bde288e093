import type { FastifyInstance } from 'fastify';
import { openStoredVideo, type OpenedVideo } from '../../results/download/stored-video.ts';
import type { AppContext } from '../app-context.ts';
import { noSuchRow, rowIdOf } from '../url.ts';

/** The bytes that a request asks for; the last one is included. */
interface Span {
  first: number;
  last: number;
}

/**
 * Which bytes of a file a Range header asks for. `whole`: the header is missing or may be ignored (RFC 9110, 14.2):
 * players ask for one range at a time.
 */
export function spanOf(range: string | undefined, bytes: number): Span | 'whole' | 'unsatisfiable' {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(range?.trim() ?? '');
  const [, from = '', to = ''] = match ?? [];
  if (match === null || (from === '' && to === '')) return 'whole';
  if (from === '') {
    const length = Math.min(Number(to), bytes);
    return length === 0 ? 'unsatisfiable' : { first: bytes - length, last: bytes - 1 };
  }
  const span = { first: Number(from), last: to === '' ? bytes - 1 : Math.min(Number(to), bytes - 1) };
  if (to !== '' && Number(to) < span.first) return 'whole';
  return span.first >= bytes ? 'unsatisfiable' : span;
}

/**
 * `/rows/<number>/video`: the video of a row from the folder of downloads. The number names a row; the path is the one
 * that the ledger recorded. Nothing of the URL goes into a path.
 */
export function mountVideos(server: FastifyInstance, context: AppContext): void {
  server.route<{ Params: { id: string } }>({
    // Fastify's own HEAD would read the file to its end.
    method: ['GET', 'HEAD'],
    url: '/rows/:id/video',
    handler: async (request, reply) => {
      const id = rowIdOf(request.params.id);
      const video = id === undefined ? undefined : await openFirst(context, id);
      if (video === undefined) throw noSuchRow('the video of this row is not on this machine');
      const { handle, bytes, type, file, sha256 } = video;
      const etag = `"${sha256}"`;
      const { range, 'if-range': condition } = request.headers;
      const span = condition === undefined || condition === etag ? spanOf(range, bytes) : 'whole';
      reply.headers({
        'accept-ranges': 'bytes',
        etag,
        'content-disposition': `inline; filename*=UTF-8''${encodeName(file)}`,
      });
      if (span === 'unsatisfiable') {
        await handle.close();
        return reply.code(416).header('content-range', `bytes */${bytes}`).send();
      }
      const { first, last } = span === 'whole' ? { first: 0, last: bytes - 1 } : span;
      if (span !== 'whole') reply.code(206).header('content-range', `bytes ${first}-${last}/${bytes}`);
      reply.type(type).header('content-length', last - first + 1);
      if (request.method === 'HEAD' || last < first) {
        await handle.close();
        return reply.send();
      }
      // The stream closes the file at its end, and when the browser goes away.
      return reply.send(handle.createReadStream({ start: first, end: last }));
    },
  });
}

async function openFirst(context: AppContext, id: number): Promise<OpenedVideo | undefined> {
  for (const video of (await context.opened().data.storedVideos([id])).get(id) ?? []) {
    const opened = await openStoredVideo(video);
    if (opened !== undefined) return opened;
  }
  return undefined;
}

/** For a header (RFC 8187): `encodeURIComponent` leaves four characters that are not allowed there. */
function encodeName(file: string): string {
  return encodeURIComponent(file.toWellFormed()).replaceAll(
    /['()*]/g,
    (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
