/** `node test/soak/asker.ts <database> <provider> <unit>`: `reconcile --watch` with a plan of so many milliseconds. */
import { openApp } from '../../src/worker/app.ts';
import { readConfig } from '../../src/core/config.ts';
import { createLog } from '../../src/core/log.ts';
import { askerOf } from '../../src/provider/asker.ts';
import { rememberedProfiles } from '../../src/provider/profile/remembered.ts';
import { createProvider } from '../../src/provider/client.ts';
import { reconcile } from '../../src/results/reconcile.ts';
import { planOf } from '../contract/tasks.ts';

const [databaseUrl, baseUrl = '', unit] = process.argv.slice(2);
const app = await openApp({ ...readConfig({}), databaseUrl }, 'reader', createLog('error'));
const provider = createProvider({ baseUrl, apiKey: 'any-key-will-do', timeoutMs: 10_000 });
const { asked, silent } = await reconcile(app.db, askerOf(provider, rememberedProfiles(app.db)), {
  batchId: null,
  watch: true,
  concurrency: 8,
  timeoutMs: 10_000,
  plan: planOf(Number(unit)),
  log: createLog('error'),
});
process.stdout.write(`${JSON.stringify({ asked, silent })}\n`);
await provider.close();
await app.close();
