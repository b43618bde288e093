import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { VidbatchError } from '../../../src/core/errors.ts';
import type { LedgerCondition } from '../../../src/ledger/read/condition.ts';
import { judgeFolder, judgeJournals, type FolderFacts } from '../../../src/operate/doctor/folder.ts';
import { judgeCondition } from '../../../src/operate/doctor/ledger.ts';
import {
  judgeLedgerVersion,
  judgePostgres,
  type PostgresFacts,
} from '../../../src/operate/doctor/postgres.ts';
import { judgeQueue } from '../../../src/operate/doctor/queue.ts';
import { judgeRedis, type RedisFacts } from '../../../src/operate/doctor/redis.ts';
import type { OwnedJournal } from '../../../src/worker/journal/foreign.ts';
import { complaints, judges } from './judging.ts';

const on = { value: 'on', source: 'default' };
const off = { value: 'off', source: 'user' };
const durable = { fsync: on, full_page_writes: on, synchronous_commit: on };
const room = { most: 100, reserved: 3, open: 10, role: null };
const known = [
  { version: 1, name: '001-schema.sql', sha256: 'a1' },
  { version: 2, name: '002-more.sql', sha256: 'b2' },
];

describe('Postgres', () => {
  const healthy: PostgresFacts = {
    latencyMs: 1,
    version: 170_002,
    tls: false,
    settings: durable,
    standby: false,
    readOnly: false,
    mayCreate: true,
    unwritable: [],
    applied: known,
    known,
    connections: room,
    pooler: 'none',
    skewMs: 20,
  };
  judges(healthy, (facts) => judgePostgres(facts, 'db:5432/app', { queueInPostgres: false }), [
    ['an old server', { version: 130_010 }, 'failed postgres'],
    ['a far one', { latencyMs: 80 }, 'warning postgres'],
    ['a standby', { standby: true, readOnly: true }, 'failed postgres-writing'],
    ['a session that only reads', { readOnly: true }, 'failed postgres-writing'],
    ['a user who may not write a table', { unwritable: ['attempt'] }, 'failed postgres-writing'],
    ['a user who may not make schemas, where the ledger is', { mayCreate: false }, null],
    [
      'synchronous_commit off',
      { settings: { ...durable, synchronous_commit: off } },
      'failed postgres-durability',
    ],
    [
      'a weaker synchronous_commit',
      { settings: { ...durable, synchronous_commit: { ...on, value: 'local' } } },
      null,
    ],
    ['fsync off', { settings: { ...durable, fsync: off } }, 'failed postgres-durability'],
    [
      'full_page_writes off',
      { settings: { ...durable, full_page_writes: off } },
      'warning postgres-durability',
    ],
    ['a pooler in transaction mode, before a ledger alone', { pooler: 'transaction' }, null],
    ['no connection left', { connections: { ...room, open: 97 } }, 'warning postgres-connections'],
    ['a limit of the user', { connections: { ...room, role: 12 } }, 'warning postgres-connections'],
    ['a clock that is ahead', { skewMs: 5_001 }, 'failed clock'],
    ['a clock that is behind', { skewMs: -5_001 }, 'failed clock'],
    ['no ledger yet', { applied: null }, 'warning ledger'],
    ['a migration that is missing', { applied: known.slice(0, 1) }, 'failed ledger'],
    [
      'a ledger of another schema',
      { applied: [{ version: 1, name: '001-ledger.sql', sha256: 'a1' }] },
      'failed ledger',
    ],
    [
      'a ledger of another version of it',
      { applied: known.map((one) => ({ ...one, sha256: 'c3' })) },
      'failed ledger',
    ],
    [
      'a ledger of a later version',
      { applied: [...known, { version: 3, name: '003-later.sql', sha256: 'd4' }] },
      'failed ledger',
    ],
  ]);

  it('says where a setting comes from, and which migration is missing', () => {
    const settings = { ...durable, synchronous_commit: off };
    const checks = judgePostgres({ ...healthy, settings }, 'db', { queueInPostgres: false });
    assert.match(
      checks.find(({ status }) => status === 'failed')?.what ?? '',
      /synchronous_commit is off \(user\)/,
    );
    assert.match(judgeLedgerVersion(known.slice(0, 1), known).what, /002-more\.sql/);
  });

  it('counts more connections for a worker whose queue is there, too', () => {
    const checks = judgePostgres({ ...healthy, connections: { ...room, open: 85 } }, 'db', {
      queueInPostgres: true,
    });
    assert.deepEqual(complaints(checks), ['warning postgres-connections']);
  });

  it('behind a pooler in transaction mode cannot hold the queue', () => {
    const checks = judgePostgres({ ...healthy, pooler: 'transaction' }, 'db', { queueInPostgres: true });
    assert.deepEqual(complaints(checks), ['failed postgres-pooler']);
  });

  it('cannot be used for a first ledger by a user who may not make one', () => {
    const checks = judgePostgres({ ...healthy, applied: null, mayCreate: false }, 'db', {
      queueInPostgres: false,
    });
    assert.deepEqual(complaints(checks), ['failed postgres-writing', 'warning ledger']);
  });
});

describe('Redis', () => {
  const healthy: RedisFacts = {
    latencyMs: 0.4,
    tls: false,
    version: '7.2.4',
    kind: 'redis',
    role: 'master',
    cluster: false,
    loading: false,
    policy: 'noeviction',
    maxMemory: 0,
    usedMemory: 1_000_000,
    aof: false,
    snapshots: false,
    lastSnapshotFailed: false,
    scripts: null,
  };
  judges(healthy, (facts) => judgeRedis(facts, 'queue:6379'), [
    ['a server below BullMQ’s floor', { version: '4.0.9' }, 'failed redis'],
    ['a server below what BullMQ recommends', { version: '6.0.16' }, 'warning redis'],
    ['a far one', { latencyMs: 90 }, 'warning redis'],
    ['one that evicts', { policy: 'allkeys-lru' }, 'failed redis-eviction'],
    ['one that does not tell whether it evicts', { policy: undefined }, 'skipped redis-eviction'],
    ['a replica', { role: 'slave' }, 'failed redis-role'],
    ['one that does not tell its role', { role: undefined }, 'skipped redis-role'],
    ['one that is loading', { loading: true }, 'failed redis-role'],
    ['a primary of a cluster', { cluster: true }, null],
    ['nearly full', { maxMemory: 1_050_000 }, 'warning redis-memory'],
    ['half full', { maxMemory: 2_000_000 }, null],
    ['one that does not tell its memory', { usedMemory: undefined }, 'skipped redis-memory'],
    ['one that keeps nothing', { aof: false, snapshots: false }, null],
    ['one that does not tell what it keeps', { aof: undefined, snapshots: undefined }, null],
    ['a snapshot that failed', { lastSnapshotFailed: true }, 'warning redis-persistence'],
    ['a user without scripts', { scripts: 'NOPERM' }, 'failed redis-scripts'],
  ]);
});

describe('the data folder', () => {
  const healthy: FolderFacts = {
    dir: '/data',
    there: true,
    refusal: null,
    unwritable: null,
    freeBytes: 2 ** 40,
    fileSystem: 'local',
    embedded: false,
  };
  judges(healthy, judgeFolder, [
    ['not there yet', { there: false }, null],
    [
      'that others can write',
      { refusal: new VidbatchError('UNSAFE_FOLDER', '/data: all') },
      'failed data-folder',
    ],
    ['not to be written', { unwritable: 'EROFS' }, 'failed data-folder'],
    ['nearly full', { freeBytes: 2 ** 20 }, 'warning data-folder-room'],
    ['of unknown room', { freeBytes: undefined }, 'skipped data-folder-room'],
    ['in memory, beside a Postgres', { fileSystem: 'memory' }, 'warning data-folder-disk'],
    ['in memory, with the ledger in it', { fileSystem: 'memory', embedded: true }, 'failed data-folder-disk'],
    ['on another machine', { fileSystem: 'network' }, 'warning data-folder-disk'],
    ['in a container’s own layer', { fileSystem: 'container' }, 'warning data-folder-disk'],
    ['somewhere', { fileSystem: 'unknown' }, 'skipped data-folder-disk'],
  ]);
});

describe('the condition of a ledger', () => {
  const origin = 'https://api.example.com';
  const healthy: LedgerCondition = {
    ledgerId: 'ab12',
    paused: false,
    closed: null,
    pausedBatches: [],
    pausedModels: [],
    held: [],
    halts: [],
    uncertain: 0,
    paidTwice: 0,
    open: true,
    fed: 1,
  };
  const halt = {
    origin,
    code: 'invalid_api_key',
    reason: 'Invalid token',
    httpStatus: 401,
    raisedAt: new Date(0),
  };
  judges(healthy, judgeCondition, [
    ['paused as a whole', { paused: true }, 'warning gates'],
    ['with paused batches', { pausedBatches: ['a', 'b', 'c', 'd'] }, 'warning gates'],
    [
      'with a halt',
      { held: [{ origin, state: 'halted', throttledMs: 0, unreached: 0 }], halts: [halt] },
      'warning gates',
    ],
    [
      'with a halt being tried out',
      { held: [{ origin, state: 'probing', throttledMs: 0, unreached: 0 }] },
      'warning gates',
    ],
    ['throttled', { held: [{ origin, state: 'open', throttledMs: 9_000, unreached: 0 }] }, 'warning gates'],
    ['with uncertain rows', { uncertain: 3 }, 'warning uncertain'],
    ['with a row that was paid twice', { paidTwice: 1 }, 'warning surplus'],
    ['with rows to send and nobody to do it', { fed: 0 }, 'warning workers'],
    ['with nothing left to send', { fed: 0, open: false }, null],
  ]);

  it('gives the reason of a halt, and how it is lifted', () => {
    const held = [{ origin, state: 'halted' as const, throttledMs: 0, unreached: 0 }];
    const check = judgeCondition({ ...healthy, held, halts: [halt] }).find(
      ({ status }) => status === 'warning',
    );
    assert.equal(check?.what, `${origin} is halted: invalid_api_key (HTTP 401): Invalid token`);
    assert.match(check?.hint ?? '', /`vidbatch resume`, `run` or `work` tries one row/);
  });
});

describe('the queue', () => {
  const one = { name: 'vidbatch-ab12', paused: false, live: 4, failedJobs: 0, known: true };
  judges({ queues: [one], otherLedgers: [] as string[] }, judgeQueue, [
    ['that is paused', { queues: [{ ...one, paused: true }] }, 'warning queue-paused'],
    ['with jobs that no worker feeds', { queues: [{ ...one, known: false }] }, 'warning queue-orphans'],
    ['with an empty queue of a run that is over', { queues: [{ ...one, known: false, live: 0 }] }, null],
    ['with jobs that failed', { queues: [{ ...one, failedJobs: 2 }] }, 'warning queue-failed'],
    ['beside another ledger’s', { otherLedgers: ['cd34'] }, null],
  ]);
});

describe('the journals', () => {
  judges({ journals: 2, damaged: [] as string[], foreign: [] as OwnedJournal[], unknown: 0 }, judgeJournals, [
    ['none', { journals: 0 }, null],
    ['torn', { damaged: ['a.jsonl: line 3 cannot be read', 'b'] }, 'warning journals'],
    ['of another ledger', { foreign: [{ path: '/data/journal/a.jsonl', ledger: 'b' }] }, 'failed journals'],
    ['with attempts that the ledger does not know', { unknown: 2 }, 'warning journals'],
  ]);
});
