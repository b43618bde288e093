import { createRequire } from 'node:module';
import type { Telemetry } from 'bullmq';
import type { BullMQOtel } from 'bullmq-otel';
import type { Config } from '../core/config.ts';
import { messageOf, usageError } from '../core/errors.ts';

const PACKAGE = 'bullmq-otel';

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };

/**
 * BullMQ's spans, for whoever runs an OpenTelemetry SDK beside this program (`node --import …/register`); without an
 * SDK they go nowhere. The package is loaded only when it is asked for: `yes` asks for it, `maybe` takes it if it is
 * there, because platforms set exporters for programs that know nothing of them.
 * @throws VidbatchError exit 2 when it was asked for and is not installed.
 */
export async function loadTelemetry({ otel }: Pick<Config, 'otel'>): Promise<Telemetry | undefined> {
  if (otel === undefined || otel === 'no') return undefined;
  let loaded: { BullMQOtel: typeof BullMQOtel };
  try {
    loaded = (await import(PACKAGE)) as typeof loaded;
  } catch (error) {
    if (otel === 'maybe') return undefined;
    throw usageError(
      'NO_OTEL',
      `VIDBATCH_OTEL is set, but ${PACKAGE} cannot be loaded: ${firstLine(messageOf(error))}`,
      `\`npm install ${PACKAGE} @opentelemetry/auto-instrumentations-node\` beside vidbatch, and start it with \`node --import @opentelemetry/auto-instrumentations-node/register\`.`,
    );
  }
  return new loaded.BullMQOtel({ tracerName: 'vidbatch', version });
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? text;
}
