import type { Random } from './random.ts';
import type { Owner, Scheduler } from './scheduler.ts';

/** What `worker/journal/journal.ts` uses of Node's. */
export interface FileHandle {
  readonly fd: number;
  datasync(): Promise<void>;
  sync(): Promise<void>;
  truncate(length: number): Promise<void>;
  close(): Promise<void>;
}

interface Write {
  at: number;
  text: string;
  durable: boolean;
}

interface File {
  writes: Write[];
  size: number;
}

/** The disk of one machine: what is written outlives the process, what is flushed outlives the machine. */
export class Disk {
  /** Takes no byte more than it has given room for. */
  full = false;
  /** Chance that a write or a flush fails. */
  faultRate = 0;
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #files = new Map<string, File>();
  /** By their descriptors. */
  readonly #opened: File[] = [];
  readonly #locks = new Map<string, Owner>();

  constructor(scheduler: Scheduler, random: Random) {
    this.#scheduler = scheduler;
    this.#random = random;
  }

  open(path: string, flags: string): FileHandle {
    let file = this.#files.get(path);
    if (flags.startsWith('w')) {
      if (file !== undefined) throw new Error(`EEXIST: ${path}`);
      file = { writes: [], size: 0 };
      this.#files.set(path, file);
    }
    return this.#handleOf(path, file ?? { writes: [], size: 0 });
  }

  list(folder: string): string[] {
    const names = [...this.#files.keys()].filter((path) => path.startsWith(`${folder}/`));
    return names.map((path) => path.slice(folder.length + 1));
  }

  remove(path: string): void {
    this.#files.delete(path);
  }

  sizeOf(path: string): number {
    return this.#file(path).size;
  }

  /** As it is read; what was allocated and not written yet is zeros. */
  textOf(path: string): string {
    const { writes } = this.#file(path);
    let text = '';
    for (const write of writes.toSorted((a, b) => a.at - b.at)) {
      text = text.padEnd(write.at, '\0').slice(0, write.at) + write.text;
    }
    return text;
  }

  /** Every whole line of every file. */
  lines(): string[] {
    return [...this.#files.keys()].flatMap((path) => this.textOf(path).split(/[\n\0]+/));
  }

  /** Returns how many of the bytes it took. */
  write(fd: number, bytes: Uint8Array, position: number): number {
    const file = this.#opened[fd];
    if (file === undefined) throw new Error(`EBADF: ${fd}`);
    const { length } = bytes;
    const end = position + length;
    if (this.full && end > file.size) throw new Error('ENOSPC: no space left on device');
    this.#mayFail('EIO: write');
    file.size = Math.max(file.size, end);
    if (bytes[0] === 0) return length;
    const written = this.faultRate > 0 && this.#random.chance(0.1) ? 1 + this.#random.below(length) : length;
    const text = Buffer.from(bytes.subarray(0, written)).toString('latin1');
    file.writes.push({ at: position, text, durable: false });
    return written;
  }

  lock(path: string, owner: Owner): { release(): void } | undefined {
    if (this.#locks.get(path)?.alive === true) return undefined;
    this.#locks.set(path, owner);
    return { release: () => void this.#locks.delete(path) };
  }

  /** Of what was never flushed, each piece is there, or torn, or gone. */
  cutPower(): void {
    for (const file of this.#files.values()) {
      file.writes = file.writes.flatMap((write) => {
        if (write.durable || this.#random.chance(0.3)) return [{ ...write, durable: true }];
        if (!this.#random.chance(0.3)) return [];
        return [
          { ...write, text: write.text.slice(0, this.#random.below(write.text.length)), durable: true },
        ];
      });
    }
  }

  #handleOf(path: string, file: File): FileHandle {
    return {
      fd: this.#opened.push(file) - 1,
      datasync: async () => {
        const pending = file.writes.slice();
        await this.#scheduler.park(`flush ${path}`);
        this.#mayFail('EIO: fdatasync');
        for (const write of pending) write.durable = true;
      },
      sync: () => this.#scheduler.park(`sync ${path}`),
      truncate: async (length) => {
        await this.#scheduler.park(`truncate ${path}`);
        file.size = length;
      },
      close: async () => {
        await Promise.resolve();
      },
    };
  }

  #mayFail(what: string): void {
    if (this.#random.chance(this.faultRate)) throw new Error(what);
  }

  #file(path: string): File {
    const file = this.#files.get(path);
    if (file === undefined) throw new Error(`ENOENT: ${path}`);
    return file;
  }
}
