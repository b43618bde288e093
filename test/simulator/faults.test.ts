import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { suite, test } from 'node:test';
import { request } from 'undici';
import { FAULT_NAMES, FAULTS, type FaultKind, type FaultName } from '../../src/simulator/fault.ts';
import { type Client, codeOf, fields, PATH, ROW, start } from './client.ts';

type Kind = FaultKind['behaviour']['does'];

function named(...kinds: Kind[]): FaultName[] {
  return FAULT_NAMES.filter((name) => kinds.includes(FAULTS[name].behaviour.does));
}

/** Each variant that the table gives a fault, as a spec and as what the record must hold afterwards. */
function variants(name: FaultName): { spec: string; tasks: number }[] {
  const { creates } = FAULTS[name];
  return [
    ...(creates === 'never' ? [] : [{ spec: `${name}:created`, tasks: 1 }]),
    ...(creates === 'always' ? [] : [{ spec: `${name}:not-created`, tasks: 0 }]),
  ];
}

function assertRecorded(client: Client, tasks: number, answered: 'sent' | 'lost'): void {
  assert.deepEqual(
    client.simulator.record.map((create) => create.answered),
    Array.from({ length: tasks }, () => answered),
  );
}

suite('answers in place of success', () => {
  for (const name of named('answer')) {
    for (const { spec, tasks } of variants(name)) {
      test(`${spec}: ${FAULTS[name].about}`, async (t) => {
        const client = await start(t);
        const seen = await client.fault(spec);
        const kind: FaultKind = FAULTS[name];
        assert.ok(kind.behaviour.does === 'answer');
        const { status, body } = kind.behaviour.answer(Date.now());
        assert.deepEqual([seen.status, seen.text], [status, body]);
        assert.doesNotMatch(seen.text, /"task_/);
        assertRecorded(client, tasks, 'lost');
        assert.deepEqual(client.simulator.stats().byStatus, { [status]: 1 });
      });
    }
  }
});

const STATUSES: Partial<Record<FaultName, [number, unknown]>> = {
  'status-500': [500, 'do_request_failed'],
  'status-500-unreadable': [500, 'unmarshal_response_failed'],
  'status-503-model-not-found': [503, 'model_not_found'],
  'invalid-request': [400, 'invalid_request'],
  'invalid-request-error': [400, 'invalid_request'],
  policy: [400, 'fail_to_fetch_task'],
  'policy-error': [400, 'TaskPromptPolicyViolation'],
  'no-balance': [403, 'insufficient_user_quota'],
  'no-balance-vendor': [400, 'fail_to_fetch_task'],
  'throttle-vendor': [429, 'fail_to_fetch_task'],
  'too-large': [413, 'read_request_body_failed'],
};

for (const [name, expected] of Object.entries(STATUSES)) {
  test(`${name} is ${String(expected[0])} ${String(expected[1])}`, async (t) => {
    const seen = await (await start(t)).fault(name);
    assert.deepEqual([seen.status, codeOf(seen)], expected);
  });
}

test("a vendor's refusal is the vendor's JSON as a string", async (t) => {
  const client = await start(t);
  const reasons: unknown[] = [];
  for (const name of ['policy', 'no-balance-vendor', 'image-download', 'policy-audit', 'policy-creation']) {
    const message = fields((await client.fault(name)).text)['message'] as string;
    reasons.push(fields(message)['reason']);
  }
  assert.deepEqual(reasons, [
    'TaskPromptPolicyViolation',
    'CreditInsufficient',
    'ImageDownloadFailure',
    'AuditSubmitIllegal',
    'CreationPolicyViolation',
  ]);
});

test('429 comes with Retry-After in seconds, as a date, or without, in JSON, as a page or empty', async (t) => {
  const client = await start(t, { now: () => Date.UTC(2026, 0, 1) + 250 });
  const after: unknown[] = [];
  for (const name of FAULT_NAMES.filter((each) => each.startsWith('throttle'))) {
    const { headers, text } = await client.fault(name);
    const shape = text === '' ? 'empty' : text.startsWith('<!DOCTYPE') ? 'page' : 'json';
    after.push([name, shape, headers['retry-after']]);
  }
  assert.deepEqual(after, [
    ['throttle', 'json', undefined],
    ['throttle-seconds', 'json', '1'],
    ['throttle-date', 'json', 'Thu, 01 Jan 2026 00:00:02 GMT'],
    ['throttle-vendor', 'json', undefined],
    ['throttle-empty', 'empty', undefined],
    ['throttle-html', 'page', undefined],
    ['throttle-empty-seconds', 'empty', '1'],
    ['throttle-html-seconds', 'page', '1'],
  ]);
});

test('a client that follows the redirect is seen elsewhere and creates nothing', async (t) => {
  const client = await start(t);
  const seen = await client.fault('redirect');
  assert.equal(seen.status, 307);
  const moved = await client.send('POST', String(seen.headers['location']), ROW);
  assert.equal(moved.status, 404);
  assert.equal(client.simulator.stats().elsewhere, 1);
  assert.equal(client.simulator.record.length, 0);
});

suite('broken connections', () => {
  for (const name of named('reset')) {
    for (const { spec, tasks } of variants(name)) {
      test(`${spec}: ${FAULTS[name].about}`, async (t) => {
        const client = await start(t);
        await assert.rejects(client.fault(spec), { code: 'ECONNRESET' });
        assertRecorded(client, tasks, 'lost');
      });
    }
  }

  for (const name of named('hang-up')) {
    for (const { spec, tasks } of variants(name)) {
      test(`${spec}: ${FAULTS[name].about}`, async (t) => {
        const client = await start(t);
        const { text, end } = await raw(client, spec);
        assert.match(
          text,
          name === 'close-after-body' ? /^$/ : /^HTTP\/1.1 200 OK\r\n.*\r\n\{"id":"task_..$/s,
        );
        assert.equal(end, 'closed');
        assertRecorded(client, tasks, 'lost');
      });
    }
  }

  test('reset-before-body happens while the body is still to come', async (t) => {
    const client = await start(t);
    const socket = connect(client.simulator.port, '127.0.0.1');
    socket.write(
      `POST ${PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\nX-Simulate: reset-before-body\r\n` +
        'Content-Length: 1000\r\n\r\n',
    );
    await assert.rejects(once(socket, 'close'), { code: 'ECONNRESET' });
    assert.deepEqual(client.simulator.stats().byStatus, { none: 1 });
  });

  test('reset-in-answer breaks off after the head, before the task id', async (t) => {
    const client = await start(t);
    const { text, end } = await raw(client, 'reset-in-answer:created');
    assert.match(text, /^HTTP\/1.1 200 OK\r\n/);
    assert.match(text, /\r\n\r\n\{"id":"task_..$/);
    assert.equal(end, 'ECONNRESET');
  });

  test('close-idle promises keep-alive and closes', async (t) => {
    const client = await start(t);
    const { text, end } = await raw(client, 'close-idle');
    assert.match(text, /connection: keep-alive/i);
    assert.ok(text.includes(`"task_id":"${client.simulator.record[0]?.taskId}"`));
    assert.equal(end, 'closed');
    assertRecorded(client, 1, 'sent');
  });

  test('a client that leaves in the middle of its body creates nothing', async (t) => {
    const client = await start(t);
    const socket = connect(client.simulator.port, '127.0.0.1');
    socket.write(
      `POST ${PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\nContent-Length: 1000\r\n\r\n{"mod`,
    );
    await client.simulator.reached({ creates: 1 });
    socket.resetAndDestroy();
    await once(socket, 'close');
    await client.create();
    assertRecorded(client, 1, 'sent');
  });
});

suite('spoilt answers', () => {
  for (const name of named('spoil')) {
    for (const { spec, tasks } of variants(name)) {
      test(`${spec}: ${FAULTS[name].about}`, async (t) => {
        const client = await start(t);
        const seen = await client.fault(spec);
        assert.equal(seen.status, 200);
        if (name === 'no-id')
          assert.equal(fields(seen.text)['task_id'] ?? fields(seen.text)['id'], undefined);
        else assert.throws(() => fields(seen.text), SyntaxError);
        assertRecorded(client, tasks, 'lost');
      });
    }
  }
});

suite('time', () => {
  for (const { spec, tasks } of variants('timeout')) {
    test(`${spec} is never answered, and the client leaves`, async (t) => {
      const client = await start(t);
      await assert.rejects(leaving(client, spec, tasks === 1 ? { accepted: 1 } : { creates: 1 }));
      assertRecorded(client, tasks, 'lost');
    });
  }

  test('slow-headers: the task exists long before the client hears of it', async (t) => {
    const client = await start(t, { slowMs: 60_000 });
    await assert.rejects(leaving(client, 'slow-headers', { accepted: 1 }));
    assertRecorded(client, 1, 'sent');
  });

  test('slow-headers: a patient client gets its answer', async (t) => {
    const client = await start(t, { slowMs: 5 });
    const seen = await client.fault('slow-headers');
    assert.equal(fields(seen.text)['task_id'], client.simulator.record[0]?.taskId);
  });

  test('slow-body: the head and the first bytes are there, the rest is not', async (t) => {
    const client = await start(t, { slowMs: 600_000 });
    const options = { method: 'POST', dispatcher: client.agent, body: JSON.stringify(ROW) } as const;
    const answer = await request(client.simulator.url + PATH, {
      ...options,
      headers: { authorization: 'Bearer x', 'x-simulate': 'slow-body' },
    });
    assert.equal(answer.statusCode, 200);
    const { value } = (await answer.body[Symbol.asyncIterator]().next()) as { value: Buffer };
    assert.ok(value.length < Number(answer.headers['content-length']));
    assertRecorded(client, 1, 'sent');
  });

  test('slow-body: a patient client gets its answer', async (t) => {
    const client = await start(t, { slowMs: 5 });
    const seen = await client.fault('slow-body');
    assert.equal(fields(seen.text)['task_id'], client.simulator.record[0]?.taskId);
  });

  test('accept-late: accepted although the client has gone', async (t) => {
    const client = await start(t, { slowMs: 50 });
    const socket = connect(client.simulator.port, '127.0.0.1');
    socket.write(rawCreate('accept-late'));
    await client.simulator.reached({ creates: 1 });
    socket.resetAndDestroy();
    await client.simulator.reached({ accepted: 1 });
    assertRecorded(client, 1, 'sent');
  });

  test('latency comes after acceptance', async (t) => {
    const client = await start(t, { latency: { minMs: 60_000, maxMs: 60_000 } });
    const hung = client.create();
    await client.simulator.reached({ accepted: 1 });
    await client.simulator.close();
    await assert.rejects(hung);
    assertRecorded(client, 1, 'sent');
  });
});

/** Sends a create and hangs up as soon as the simulator has come so far. */
async function leaving(
  client: Client,
  spec: string,
  until: { creates?: number; accepted?: number },
): Promise<void> {
  const leave = new AbortController();
  const sent = request(client.simulator.url + PATH, {
    method: 'POST',
    dispatcher: client.agent,
    signal: leave.signal,
    headers: { authorization: 'Bearer x', 'x-simulate': spec },
    body: JSON.stringify(ROW),
  });
  const outcome = assert.rejects(sent, { name: 'AbortError' });
  await client.simulator.reached(until);
  if (until.accepted === undefined) await client.send('GET', '/control/stats');
  leave.abort();
  await outcome;
  await sent;
}

/** What stands on the wire until the other side ends it, and how it does: `closed` or the error's code. */
async function raw(client: Client, spec: string): Promise<{ text: string; end: unknown }> {
  const socket = connect(client.simulator.port, '127.0.0.1');
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  socket.write(rawCreate(spec));
  const end = await once(socket, 'close').then(
    () => 'closed',
    (error: NodeJS.ErrnoException) => error.code,
  );
  return { text, end };
}

function rawCreate(spec: string): string {
  const body = JSON.stringify(ROW);
  const head = `POST ${PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\nX-Simulate: ${spec}\r\n`;
  return `${head}Content-Length: ${body.length}\r\n\r\n${body}`;
}
