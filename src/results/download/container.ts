import type { FileHandle } from 'node:fs/promises';

/** Enough bytes to tell what a file is. */
export const HEAD_BYTES = 4_100;

type Content = { kind: 'video'; extension: string; type: string } | { kind: 'other'; what: string };

/** Extensions of video types that the bytes alone do not tell. */
const DECLARED: Readonly<Record<string, string>> = {
  'video/mp4': 'mp4',
  'video/webm': 'webm',
  'video/quicktime': 'mov',
  'video/x-matroska': 'mkv',
  'video/mp2t': 'ts',
};

/**
 * What a file is, by its first bytes. They decide, because object stores declare anything. Unknown bytes are taken for the
 * video that they were declared to be, unless they are text.
 */
export async function readContent(head: Buffer, declared: string): Promise<Content> {
  if (head.length === 0) return { kind: 'other', what: 'empty' };
  const { fileTypeFromBuffer } = await import('file-type');
  const found = await fileTypeFromBuffer(head);
  if (found?.mime.startsWith('video/') === true) {
    return { kind: 'video', extension: found.ext, type: found.mime };
  }
  if (found !== undefined) return { kind: 'other', what: found.mime };
  if (isText(head)) return { kind: 'other', what: textOf(head) };
  const [type = ''] = declared.toLowerCase().split(';');
  const extension = DECLARED[type.trim()];
  return extension === undefined
    ? { kind: 'other', what: `unknown bytes, declared as ${type.trim() || 'nothing'}` }
    : { kind: 'video', extension, type: type.trim() };
}

function isText(head: Buffer): boolean {
  try {
    // The last character may have been cut in two.
    const text = new TextDecoder('utf8', { fatal: true }).decode(head, { stream: true });
    // oxlint-disable-next-line no-control-regex -- that is how bytes are told from text
    return !/[\u0000-\u0008\u000e-\u001a]/.test(text);
  } catch {
    return false;
  }
}

function textOf(head: Buffer): string {
  const text = head.toString('utf8').trimStart();
  if (/^<(!doctype html|html|head|body)/i.test(text)) return 'a web page';
  if (text.startsWith('<')) return 'XML';
  return /^[[{]/.test(text) ? 'JSON' : 'text';
}

/**
 * Where the boxes of an MP4 or QuickTime file end (ISO 14496-12, 4.2). In a file that was cut short, the last box is longer
 * than the rest of the file. Other containers do not say.
 */
export async function endOfBoxes(
  file: Pick<FileHandle, 'read'>,
  size: number,
  extension: string,
): Promise<'at-end' | 'beyond' | 'unknown'> {
  if (extension !== 'mp4' && extension !== 'mov') return 'unknown';
  const head = Buffer.alloc(16);
  let at = 0;
  while (at + 8 <= size) {
    const { bytesRead } = await file.read(head, 0, 16, at);
    const short = head.readUInt32BE(0);
    const length = short === 1 && bytesRead === 16 ? Number(head.readBigUInt64BE(8)) : short;
    // 0: up to the end, wherever that is. Less than a head: what follows are not boxes.
    if (length < 8) return 'unknown';
    at += length;
  }
  return at > size ? 'beyond' : 'at-end';
}
