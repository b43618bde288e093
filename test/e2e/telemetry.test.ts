import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { exits } from '../cli.ts';
import { openCliOnPostgres } from './cli-on-postgres.ts';

describe('spans, where the optional package is not installed', async () => {
  const cli = await openCliOnPostgres();
  after(cli.close);
  const NODE_OPTIONS = `--import=${new URL('absent.ts', import.meta.url).href}`;

  it('are an error that names the package when they were asked for', async () => {
    const { stderr } = exits(
      await cli.run(['work', '--drain'], { env: { NODE_OPTIONS, VIDBATCH_OTEL: 'true' } }),
      2,
    );
    assert.match(
      stderr,
      /^vidbatch: VIDBATCH_OTEL is set, but bullmq-otel cannot be loaded: .*\[NO_OTEL\]\n {2}`npm install /m,
    );
  });

  it('are done without when only an exporter is set', async () => {
    const env = { NODE_OPTIONS, OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' };
    exits(await cli.run(['work', '--drain'], { env }), 0);
  });
});
