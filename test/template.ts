/**
 * `node test/template.ts`: says where the files of two embedded databases are, `empty` and `ledger`, to be copied. Making
 * them takes seconds, a copy takes milliseconds: they are kept beside the packages that they were made with.
 */
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { migrateQueue } from '../src/worker/queue/store.ts';
import { openEmbedded } from '../src/database/embedded.ts';
import { migrateLedger } from '../src/ledger/migrate.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Everything that they are made of. */
function fingerprint(): string {
  const hash = createHash('sha256');
  const sources = [
    'database/embedded',
    'database/database-files',
    'database/database-files',
    'ledger/migrate',
  ].map((name) => `src/${name}.ts`);
  const made = ['package-lock.json', 'test/template.ts', 'src/database/image.zst', ...sources];
  const migrations = globSync('src/ledger/migrations/*.sql', { cwd: ROOT }).sort();
  for (const file of [...made, ...migrations]) hash.update(readFileSync(join(ROOT, file)));
  return hash.digest('hex').slice(0, 16);
}

async function make(folder: string): Promise<void> {
  const empty = join(folder, 'empty');
  await (await openEmbedded(empty)).end();
  const files = join(folder, 'ledger');
  cpSync(empty, files, { recursive: true });
  const ledger = await openEmbedded(files);
  await migrateLedger(ledger);
  await migrateQueue(ledger);
  // Every copy is given an id of its own by whoever opens it first.
  await ledger.query('delete from vidbatch.meta');
  await ledger.end();
}

const kept = join(ROOT, 'node_modules', '.cache', `vidbatch-template-${fingerprint()}`);
if (!existsSync(kept)) {
  mkdirSync(dirname(kept), { recursive: true });
  const folder = mkdtempSync(`${kept}.`);
  try {
    await make(folder);
    renameSync(folder, kept);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    // Another run may have been quicker.
    if (!existsSync(kept)) throw error;
  }
}
process.stdout.write(`${JSON.stringify(kept)}\n`);
