/** The soak can fail: with one guard of the program taken out, a round that is aimed at it reports what broke. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { MutationName } from '../mutation/mutations.ts';
import { aim, DEATHS } from './aimed.ts';
import { openServices } from './services.ts';

const services = await openServices();
after(services.close);

test('with every guard in place nothing is reported', async () => {
  assert.deepEqual((await aim(services, DEATHS)).violations, []);
});

/** Those of which the real SQL, the real disk and the real wire are part. The simulation takes out the others. */
const BROKEN: readonly (readonly [MutationName, RegExp])[] = [
  ['claim-without-compare', /^acceptedTwice: /],
  ['journal-without-answers', /^task id lost: /],
  ['uncertain-is-sent-again', /^acceptedTwice: /],
];

for (const [name, expected] of BROKEN) {
  test(`the soak reports it: ${name}`, async () => {
    const { violations } = await aim(services, DEATHS, name);
    assert.ok(
      violations.some((violation) => expected.test(violation)),
      `${name}: ${JSON.stringify(violations, null, 2)}`,
    );
  });
}
