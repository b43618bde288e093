/** As `mutation.soak.ts`, for an answer that is recorded after its deadline. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { aim, SLEEPER } from './aimed.ts';
import { openServices } from './services.ts';

const services = await openServices();
after(services.close);

test('a late answer is no fault', async () => {
  assert.deepEqual((await aim(services, SLEEPER)).violations, []);
});

test('the soak reports it: record-forgets-task-id', async () => {
  const { violations } = await aim(services, SLEEPER, 'record-forgets-task-id');
  assert.ok(
    violations.some((violation) => /^(acceptedTwice|task id lost|forgotten): /.test(violation)),
    JSON.stringify(violations, null, 2),
  );
});
