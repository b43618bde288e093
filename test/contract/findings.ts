import type { Finding } from '../../src/ledger/verify/invariant.ts';
import { confirmed, type Inspection } from '../../src/operate/verify/verify.ts';

/** What is found twice. `meanwhile` happens between the two looks. */
export async function found(
  looks: AsyncIterable<Inspection>,
  meanwhile: () => Promise<unknown> = () => Promise.resolve(),
): Promise<Finding[]> {
  const all: Finding[] = [];
  for await (const one of confirmed(looks, meanwhile)) all.push(one);
  return all;
}

export function names(findings: readonly Finding[]): string[] {
  return findings.map(({ severity, invariant }) => `${severity} ${invariant}`);
}
