import type { Telemetry } from 'bullmq';
import type { BullMQOtel } from 'bullmq-otel';
import { VERSION } from '../core/version.ts';
import type { Config } from '../core/config.ts';
import { messageOf, usageError } from '../core/errors.ts';

const PACKAGE = 'bullmq-otel';

/**
 * BullMQ's spans, for an OpenTelemetry SDK in the same process (`node --import …/register`). Without an SDK they go nowhere.
 * `yes` requires the package. `maybe` uses it if it is installed, because platforms set exporters for all programs.
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
  return new loaded.BullMQOtel({ tracerName: 'vidbatch', version: VERSION });
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? text;
}
