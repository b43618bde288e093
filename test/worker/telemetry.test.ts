import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { context, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  type ReadableSpan,
} from '@opentelemetry/sdk-trace-base';
import { startSending, untilDone } from '../../src/worker/sending.ts';
import { startSimulator, type Simulator } from '../../src/simulator/server.ts';
import { queueName } from '../../src/worker/queue/name.ts';
import { openQueue } from '../../src/worker/queue/queue.ts';
import { createLog } from '../../src/core/log.ts';
import { loadTelemetry } from '../../src/worker/telemetry.ts';
import { makeBatch } from '../contract/rows.ts';
import { openStorage, type Storage } from '../contract/storages.ts';

/** What an operator's `--import …/register` does. */
const exporter = new InMemorySpanExporter();
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });

before(() => {
  trace.setGlobalTracerProvider(provider);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
});
after(() => provider.shutdown());

for (const kind of ['redis+postgres', 'postgres'] as const) {
  describe(`spans, with the queue on ${kind.split('+')[0]}`, () => {
    const key = 'sk-never-in-a-span';
    let storage: Storage;
    let simulator: Simulator;

    before(async () => {
      simulator = await startSimulator();
      storage = await openStorage(kind, { otel: 'yes', baseUrl: simulator.url, apiKey: key });
      exporter.reset();
    });
    after(async () => {
      await storage.close();
      await simulator.close();
    });

    test('lead from the feeder that queued a job to the worker that took it, and hold no secret', async () => {
      const made = await makeBatch(storage.db, { rows: 3, origin: simulator.url });
      const log = createLog('silent');
      const sending = await startSending(storage, storage.config, {}, { batches: null, log });
      await untilDone(storage, sending, null, { log });
      await sending.close();

      const spans = exporter.getFinishedSpans();
      const named = (name: string): ReadableSpan[] => spans.filter((span) => span.name.startsWith(name));
      const producers = new Map(named('addBulk').map((span) => [span.spanContext().spanId, span]));
      const consumers = named('process');
      assert.ok(consumers.length > 0);
      for (const span of consumers) {
        const parent = producers.get(span.parentSpanContext?.spanId ?? '');
        assert.equal(parent?.spanContext().traceId, span.spanContext().traceId, span.name);
        assert.equal(span.instrumentationScope.name, 'vidbatch');
      }
      const told = JSON.stringify(
        spans.map(({ name, attributes, events }) => ({ name, attributes, events })),
      );
      for (const secret of [key, 'postgres://', 'redis://']) assert.ok(!told.includes(secret), secret);

      const queue = openQueue(storage.store, queueName(storage.ledgerId, null));
      const jobs = await queue.getJobs(['completed']);
      assert.equal(jobs.length, consumers.length);
      assert.deepEqual(new Set(jobs.map(({ name }) => name)), new Set([made.name]));
      for (const job of jobs) {
        assert.match(String(job.opts.telemetry?.metadata), /"traceparent":"00-[\da-f]{32}-/);
        assert.ok(Buffer.byteLength(JSON.stringify([job.data, job.opts])) < 1024, 'a job stays small');
      }
      await queue.close();
    });
  });
}

test('are not loaded without configuration; with only an exporter, an installed package is used', async () => {
  assert.equal(await loadTelemetry({ otel: 'no' }), undefined);
  assert.equal(await loadTelemetry({}), undefined);
  assert.ok((await loadTelemetry({ otel: 'maybe' })) !== undefined);
});
