import { open, receipt } from 'vidbatch';

await using vidbatch = await open(); // VIDBATCH_BASE_URL, VIDBATCH_API_KEY, REDIS_URL, DATABASE_URL …
const status = await vidbatch.run(process.argv[2] ?? 'prompts.csv');
console.log(receipt(status));
for await (const row of vidbatch.rows(status.batch)) {
  if (row.state !== 'submitted') console.error(row.line, row.state, row.error);
}
