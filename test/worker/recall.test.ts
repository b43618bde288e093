import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLog } from '../../src/core/log.ts';
import type { App } from '../../src/worker/app.ts';
import { journalFolder } from '../../src/worker/journal/journal.ts';
import { beginsSending, recall } from '../../src/worker/recall.ts';
import { LEDGERS, onEvery } from '../contract/storages.ts';

onEvery(LEDGERS, (storage, kind) => {
  test('journals of earlier workers are read before rows are planned, and on a server again before they are sent', async () => {
    const { db, config, ...rest } = storage();
    const folder = journalFolder(config.dataDir);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'gone.jsonl'), '');
    let asked = 0;
    const app: App = {
      ...rest,
      db: {
        query: (text, params) => {
          if (text.includes('from vidbatch.journal')) asked += 1;
          return db.query(text, params);
        },
        connect: () => db.connect(),
        end: () => db.end(),
      },
    };
    const read = async (): Promise<number> => {
      asked = 0;
      await recall(
        app,
        { ...config, baseUrl: 'https://provider.example', apiKey: 'sk-test' },
        { maxAttempts: 5 },
        createLog('silent'),
      );
      return asked;
    };
    assert.equal(
      await read(),
      kind === 'embedded' ? 0 : 1,
      'an embedded ledger has read them when it was opened',
    );
    assert.equal(await read(), kind === 'embedded' ? 0 : 1, 'another worker may have left one meanwhile');
    beginsSending(app);
    assert.equal(await read(), 1, 'its own worker may have left one');
    assert.equal(await read(), kind === 'embedded' ? 0 : 1);
  });
});
