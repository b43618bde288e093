import { openApp, produce, readConfig, receipt, startSending, summarise, untilDone } from 'vidbatch';

const config = readConfig(); // VIDBATCH_BASE_URL, VIDBATCH_API_KEY, REDIS_URL, DATABASE_URL …
const app = await openApp(config, 'worker'); // ledger and queue
try {
  const { batch } = await produce(app.db, process.argv[2] ?? 'prompts.csv');
  const sending = await startSending(app, config, { concurrency: 8 }, { batches: [batch.id] });
  try {
    await untilDone(app, sending, [batch.id]);
  } finally {
    await sending.close(); // open calls end first, and their answers are recorded
  }
  console.log(receipt(await summarise(app.db, batch)));
} finally {
  await app.close();
}
