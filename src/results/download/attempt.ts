import type { Agent } from 'undici';
import { VidbatchError } from '../../core/errors.ts';
import type { WholeVideo } from '../../ledger/tasks/downloads.ts';
import { endOfBoxes, HEAD_BYTES, readContent } from './container.ts';
import { checkRoom, PartFile } from './disk.ts';
import { one, rangeOf, tooLarge, type Part } from './judgement.ts';
import { broken, isFramed, openTransfer, readBody, type Opened, type TransferLimits } from './transfer.ts';

/** How one try to download a video, or its missing part, ended. */
export type Tried =
  | ({ kind: 'whole' } & Omit<WholeVideo, 'file'> & { extension: string })
  | { kind: 'dead'; code: string; reason: string }
  | { kind: 'again'; code: string; reason: string; afterMs?: number }
  | { kind: 'refused'; code: string; reason: string };

export interface AttemptOptions extends TransferLimits {
  client: Agent;
  signal: AbortSignal;
  /** Called before the first byte of a version is written. */
  onBegun: (part: Pick<Part, 'validator' | 'total'>) => Promise<void>;
  onBytes?: (bytes: number) => void;
}

/** Without a known length, the room on the disk is checked after this many bytes. */
const LOOK_BYTES = 32 * 1024 * 1024;

/** One GET into the part at `path`. `part` says what is there, before and afterwards. */
export async function attempt(
  url: string,
  path: string,
  part: Part,
  options: AttemptOptions,
): Promise<Tried> {
  // The whole video had arrived, and the process ended before the file got its name.
  if (part.size > 0 && part.size === part.total) {
    return withFile(await PartFile.resume(path, part.size), (file) => judgeFile(file, part, '', true));
  }
  const opened = await openTransfer(options.client, url, rangeOf(part), part, options);
  if (opened.kind !== 'answer') return opened;
  const { judgement, body, host } = opened;
  if (judgement.kind === 'whole' || judgement.kind === 'rest') return receive(opened, path, part, options);
  body.on('error', () => undefined).destroy();
  const reason = `${host}: ${judgement.reason}`;
  switch (judgement.kind) {
    case 'restart':
      part.size = 0;
      return { kind: 'again', code: 'BROKEN', reason };
    case 'dead':
      return { kind: 'dead', code: 'DEAD_URL', reason };
    case 'again':
      return { ...judgement, code: 'UNAVAILABLE', reason };
    case 'refused':
      return { ...judgement, reason };
  }
}

async function withFile<T>(file: PartFile, work: (file: PartFile) => Promise<T>): Promise<T> {
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

type Answered = Extract<Opened, { kind: 'answer' }>;

async function receive(answer: Answered, path: string, part: Part, options: AttemptOptions): Promise<Tried> {
  const { judgement, head, body } = answer;
  const declared = one(head, 'content-type') ?? '';
  try {
    if (judgement.kind === 'rest') {
      await checkRoom(path, judgement.total - part.size);
      return await withFile(await PartFile.resume(path, part.size), async (file) => {
        const trouble = await pour(answer, file, declared, null, options);
        part.size = file.bytes;
        return trouble ?? judgeFile(file, part, declared, isFramed(head));
      });
    }
    if (judgement.kind !== 'whole')
      throw new Error(`an answer that is ${judgement.kind} has no body to read`);
    const { total, validator, encoding } = judgement;
    await checkRoom(path, total ?? 0);
    return await withFile(await PartFile.begin(path), async (file) => {
      Object.assign(part, { size: 0, validator, total: encoding === null ? total : null });
      await options.onBegun(part);
      const trouble = await pour(answer, file, declared, total, options, encoding);
      part.size = file.bytes;
      return trouble ?? judgeFile(file, part, declared, isFramed(head));
    });
  } finally {
    body.on('error', () => undefined).destroy();
  }
}

/** The reader ends the transfer. */
class Unwanted extends Error {
  readonly tried: Tried;

  constructor(tried: Tried) {
    super(tried.kind);
    this.tried = tried;
  }
}

/** Reads a body into the file. Returns what was wrong; undefined: nothing. */
async function pour(
  { host, body }: Answered,
  file: PartFile,
  declared: string,
  total: number | null,
  options: AttemptOptions,
  encoding: string | null = null,
): Promise<Tried | undefined> {
  const { maxBytes, onBytes } = options;
  let isKnown = file.bytes >= HEAD_BYTES;
  let looked = file.bytes;
  const sink = async (chunk: Buffer): Promise<void> => {
    if (file.bytes + chunk.length > maxBytes) throw new Unwanted(withHost(host, tooLarge(maxBytes)));
    if (total === null && file.bytes - looked >= LOOK_BYTES) {
      await checkRoom(file.path, chunk.length);
      looked = file.bytes;
    }
    await file.append(chunk);
    onBytes?.(chunk.length);
    if (isKnown || file.bytes < HEAD_BYTES) return;
    isKnown = true;
    const content = await readContent(await file.head(HEAD_BYTES), declared);
    if (content.kind === 'other') throw new Unwanted(notAVideo(content.what));
  };
  let travelled: number;
  try {
    travelled = await readBody(body, encoding, options, sink);
  } catch (error) {
    if (error instanceof VidbatchError) throw error;
    return error instanceof Unwanted ? error.tried : broken(error, host);
  }
  if (total === null || travelled === total) return undefined;
  return { kind: 'again', code: 'BROKEN', reason: `${host}: ${travelled} bytes arrived instead of ${total}` };
}

function withHost<T extends { reason: string }>(host: string, refused: T): T {
  return { ...refused, reason: `${host}: ${refused.reason}` };
}

/** A page instead of a video: usually the URL is dead, and the server nevertheless answers 200. */
function notAVideo(what: string): Tried {
  return { kind: 'dead', code: 'NOT_A_VIDEO', reason: `the answer is not a video: ${what}` };
}

/** Whether a file that has ended is a whole video. `isFramed`: the answer said where it ends. */
async function judgeFile(file: PartFile, part: Part, declared: string, isFramed: boolean): Promise<Tried> {
  if (file.bytes === 0) return { kind: 'again', code: 'EMPTY', reason: 'the answer is empty' };
  const content = await readContent(await file.head(HEAD_BYTES), declared);
  if (content.kind === 'other') {
    part.size = 0;
    return notAVideo(content.what);
  }
  const { extension, type } = content;
  const end = await endOfBoxes(file.file, file.bytes, extension);
  if (end === 'beyond' || (!isFramed && end !== 'at-end')) {
    part.size = 0;
    const reason =
      end === 'beyond' ? 'the video is cut short' : 'it is not known whether the video is complete';
    return { kind: 'again', code: 'CUT_SHORT', reason };
  }
  const { bytes, sha256 } = await file.sync();
  return { kind: 'whole', bytes, sha256, type, extension };
}
