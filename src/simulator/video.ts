import { createHash } from 'node:crypto';

const BLOCK = 65_536;
const FTYP = box(
  'ftyp',
  Buffer.concat([Buffer.from('isom'), Buffer.from([0, 0, 2, 0]), Buffer.from('isommp41')]),
);
/** A movie header of one second without a track, for readers of the boxes. */
const MOOV = box('moov', box('mvhd', movieHeader()));
const HEAD = FTYP.length + MOOV.length + 8;

const SMALLEST_VIDEO = HEAD + 1;

/** A file with the boxes of an MP4, of exactly `size` bytes that follow from its name. */
export class Video {
  readonly size: number;
  /** Strong: the same name and size are the same bytes. */
  readonly etag: string;
  readonly #head: Buffer;
  readonly #seed: number;

  constructor(name: string, size: number) {
    this.size = Math.max(size, SMALLEST_VIDEO);
    const hash = createHash('sha256').update(`${name}:${this.size}`).digest();
    this.etag = `"${hash.toString('hex', 0, 16)}"`;
    this.#seed = hash.readUInt32LE(16);
    const media = Buffer.alloc(8);
    media.writeUInt32BE(this.size - FTYP.length - MOOV.length, 0);
    media.write('mdat', 4);
    this.#head = Buffer.concat([FTYP, MOOV, media]);
  }

  /** From `from` up to, and without, `to`. */
  *bytes(from = 0, to = this.size): Generator<Buffer> {
    for (let at = from; at < to;) {
      const index = Math.floor(at / BLOCK);
      const end = Math.min(to, (index + 1) * BLOCK);
      yield this.#block(index).subarray(at - index * BLOCK, end - index * BLOCK);
      at = end;
    }
  }

  #block(index: number): Buffer {
    const words = new Uint32Array(BLOCK / 4);
    let state = (this.#seed ^ Math.imul(index + 1, 0x9e3779b1)) >>> 0 || 1;
    for (let i = 0; i < words.length; i += 1) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      words[i] = state;
    }
    const block = Buffer.from(words.buffer);
    if (index === 0) this.#head.copy(block);
    return block;
  }
}

function box(type: string, content: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(8 + content.length, 0);
  head.write(type, 4);
  return Buffer.concat([head, content]);
}

/** ISO 14496-12, 8.2.2, version 0: a second has a thousand ticks, and the video lasts a thousand ticks. */
function movieHeader(): Buffer {
  const header = Buffer.alloc(100);
  header.writeUInt32BE(1000, 12);
  header.writeUInt32BE(1000, 16);
  header.writeUInt32BE(0x00010000, 20);
  header.writeUInt16BE(0x0100, 24);
  for (const [at, value] of [
    [36, 0x00010000],
    [52, 0x00010000],
    [68, 0x40000000],
    [96, 1],
  ] as const) {
    header.writeUInt32BE(value, at);
  }
  return header;
}
