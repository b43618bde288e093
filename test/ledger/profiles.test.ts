import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { unlessTooOld, sameKeyOf, type SameKey } from '../../src/core/retry-policy.ts';
import type { Database } from '../../src/database/database.ts';
import { keepProfile, updateProfile, wasSent } from '../../src/ledger/profiles.ts';
import { claim, granted, type Claim } from '../../src/ledger/send/claim.ts';
import { record } from '../../src/ledger/send/record.ts';
import { sendUnheardAgain } from '../../src/ledger/send/unknown-outcome.ts';
import { sweep } from '../../src/ledger/send/sweep.ts';
import { builtInNames } from '../../src/provider/profile/built-in.ts';
import { builtInProfile } from '../../src/provider/profile/load.ts';
import { readProfile } from '../../src/provider/profile/read.ts';
import { keptOf, rememberedProfiles } from '../../src/provider/profile/remembered.ts';
import {
  againOf,
  claimFirst,
  letTimePass,
  makeBatch,
  only,
  outcomeOf,
  resultOf,
  scopeOf,
  statesOf,
  wishFor,
  type Made,
} from '../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../contract/storages.ts';

const LEAVE = sameKeyOf({ providerIdempotent: true }) as SameKey;

function textOf(name: string, more = ''): string {
  return `profile: 1\nextends: vidu-gateway\nname: ${name}\n${more}`;
}

async function keep(db: Database, more = '', name = 'mine'): Promise<number> {
  return keepProfile(db, { name, hash: randomUUID(), text: textOf(name, more) });
}

/** The attempt after `claimed`, whose outcome stays unknown. */
async function claimedAgain(db: Database, made: Made, claimed: Claim): Promise<Claim> {
  await record(db, [{ ...resultOf(claimed, outcomeOf('uncertain')), sameKey: LEAVE }]);
  await db.query(`update vidbatch.row_state set not_before = now() where batch_id = $1`, [made.id]);
  return claimFirst(db, made);
}

test('a built-in profile sends its keys for ever under one header: another header is another order', () => {
  const KEYS = {
    ark: undefined,
    minimax: undefined,
    'new-api': ['Idempotency-Key', 255],
    'openai-videos': undefined,
    openrouter: undefined,
    vidu: undefined,
    'vidu-gateway': ['Idempotency-Key', 255],
  };
  const found = builtInNames().map((name) => {
    const { idempotency } = builtInProfile(name)?.profile ?? {};
    return [name, idempotency && [idempotency.header, idempotency.longest]];
  });
  assert.deepEqual(Object.fromEntries(found), KEYS);
});

onEvery(SQL_LEDGERS, (storage) => {
  describe('a profile in the ledger', () => {
    test('is kept once, also if many processes keep it at the same time', async () => {
      const { db } = storage();
      const one = { name: 'many', hash: randomUUID(), text: textOf('many') };
      const ids = await Promise.all(Array.from({ length: 8 }, () => keepProfile(db, one)));
      assert.equal(new Set(ids).size, 1);
      assert.notEqual(await keepProfile(db, { ...one, hash: randomUUID() }), ids[0]);
    });

    test('is what each claim names, from the moment on at which its batch takes it', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 2 });
      const [first] = await claim(db, scopeOf(made), wishFor(made.id, 1));
      assert.equal(first?.profileId, made.profileId);
      const other = await keep(db);
      await updateProfile(db, made.id, other);
      const [second] = await claim(db, scopeOf(made), wishFor(made.id, 1));
      assert.equal(second?.profileId, other);
      // The first is sent as it was claimed, also if the answer of its statement was lost.
      assert.equal(only(await granted(db, [first.attemptId])).profileId, made.profileId);
    });

    test('was used once a request of its batch may have left', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      assert.equal(await wasSent(db, made.id), false);
      const first = await claimFirst(db, made);
      assert.equal(await wasSent(db, made.id), true, 'in flight');
      const notSent = outcomeOf('not-sent');
      await record(db, [
        resultOf(first, { ...notSent, evidence: { ...notSent.evidence, phase: 'connecting' } }),
      ]);
      assert.equal(await wasSent(db, made.id), false, 'it never left');
      await db.query(`update vidbatch.row_state set not_before = now() where batch_id = $1`, [made.id]);
      await record(db, [resultOf(await claimFirst(db, made), outcomeOf('rejected'))]);
      assert.equal(await wasSent(db, made.id), true, 'refused, by an answer');
    });
  });

  describe('a key that was sent by one profile', () => {
    test('is not repeated by another', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      const second = await claimedAgain(db, made, await claimFirst(db, made));
      assert.ok(unlessTooOld(LEAVE, second.doubtMs), 'by the same profile it is');
      const other = await keep(db);
      await updateProfile(db, made.id, other);
      const third = await claimedAgain(db, made, second);
      assert.equal(third.doubtMs, Infinity);
      assert.equal(unlessTooOld(LEAVE, third.doubtMs), undefined);
    });

    test('is not repeated by another after its worker was gone', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      await claimFirst(db, made);
      const other = await keep(db);
      await updateProfile(db, made.id, other);
      const both = againOf(made, LEAVE);
      const again = { ...both, sameKeys: new Map([...both.sameKeys, [other, LEAVE] as const]) };
      await letTimePass(db, made, 100_000);
      await sweep(db, { again });
      assert.deepEqual(await statesOf(db, made), ['uncertain']);
      assert.equal(await sendUnheardAgain(db, again), 0);
      await updateProfile(db, made.id, made.profileId);
      assert.equal(await sendUnheardAgain(db, again), 1);
    });

    test('is as old as its first attempt, also if the answer to that is known by now', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      const first = await claimFirst(db, made);
      await db.query(
        `update vidbatch.attempt set claimed_at = claimed_at - interval '3 hours' where id = $1`,
        [first.attemptId],
      );
      await letTimePass(db, made, 100_000);
      await sweep(db, { again: againOf(made, LEAVE) });
      const second = await claimFirst(db, made);
      await record(db, [resultOf(first, outcomeOf('rejected'))]);
      const third = await claimedAgain(db, made, second);
      assert.equal(third.refusals, first.refusals);
      assert.ok((third.doubtMs ?? 0) >= 3 * 3_600_000, String(third.doubtMs));
    });
  });

  describe('the permission to repeat a key', () => {
    const HOUR = 3_600_000;
    const permission = async (terms: string, config = {}): Promise<number | undefined> => {
      const { db } = storage();
      const profiles = rememberedProfiles(db, config);
      const text = textOf('mine', terms);
      const read = readProfile(text);
      assert.ok('profile' in read);
      const id = await keepProfile(db, keptOf({ profile: read.profile, text, builtIn: false }));
      assert.equal((await profiles.sameKeys()).get(id)?.lifeMs, (await profiles.of(id)).sameKey?.lifeMs);
      return (await profiles.of(id)).sameKey?.lifeMs;
    };
    const honoured = (lifetime: string): string =>
      `idempotency: { header: X-Key, honoured: true, lifetime: ${lifetime} }\n`;
    const SAID = { providerIdempotent: true };

    test('ends well before the provider forgets the key', async () => {
      assert.equal(await permission(honoured('24h')), 12 * HOUR);
      assert.equal(await permission(honoured('2h')), HOUR);
      assert.equal(await permission(honoured('12m')), 2 * 60_000);
      assert.equal(await permission(honoured('10m')), undefined);
    });

    test('is the word of the user where the profile has none, and no longer than the profile says', async () => {
      assert.equal(await permission(''), undefined);
      assert.equal(await permission('', SAID), 12 * HOUR);
      assert.equal(await permission(honoured('2h'), SAID), HOUR);
      assert.equal(await permission('idempotency: none\n', SAID), undefined);
    });

    test('is not given where another version of vidbatch has sent other keys', async () => {
      const { db } = storage();
      const loaded = builtInProfile('vidu-gateway');
      assert.ok(loaded);
      const kept = keptOf(loaded);
      const now = await keepProfile(db, kept);
      const before = await keepProfile(db, { ...kept, hash: randomUUID() });
      const keys = await rememberedProfiles(db, SAID).sameKeys();
      assert.deepEqual([keys.has(now), keys.has(before)], [true, false]);
    });

    test('of a profile that this version cannot read is not given, and rows are not sent by it', async () => {
      const { db } = storage();
      const id = await keepProfile(db, { name: 'of-tomorrow', hash: randomUUID(), text: null });
      const profiles = rememberedProfiles(db, SAID);
      assert.equal((await profiles.sameKeys()).has(id), false);
      await assert.rejects(profiles.of(id), /cannot read the profile of-tomorrow/);
    });
  });
});
