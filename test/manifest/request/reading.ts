import assert from 'node:assert/strict';
import {
  readRequest,
  type ReadRequest,
  type RequestOptions,
} from '../../../src/manifest/request/read-request.ts';

/** Minimal rows of three modes, for tests to break. */
export const text = { model: 'viduq3p-720p', prompt: 'Fog lifts off a rice terrace at dawn' };
export const image = { ...text, image: 'https://example.com/first.png' };
export const mix = {
  ...text,
  model: 'viduq3p-mix-720p',
  reference_image_urls: ['https://example.com/hero.png'],
};

/** Reads a JSON row that stands on line 7. */
export function read(raw: Record<string, unknown>, options: Partial<RequestOptions> = {}): ReadRequest {
  return readRequest(raw, { source: 'json', line: 7, ...options });
}

/** `severity rule` of every fault, in order. */
export function rulesOf({ faults }: ReadRequest): string[] {
  return faults.map(({ severity, rule }) => `${severity} ${rule}`);
}

export function messageOf({ faults }: ReadRequest, rule: string): string {
  const fault = faults.find((each) => each.rule === rule);
  return fault?.message ?? assert.fail(`no ${rule} in ${JSON.stringify(faults)}`);
}
