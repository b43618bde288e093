import type { Surroundings } from '../../core/config.ts';
import { ok, failed, warning } from './check.ts';
import type { Check } from './check.ts';

/** What runs here. Versions as in `24.1.0`. */
export interface MachineFacts {
  vidbatch: string;
  node: string;
  /** The oldest Node that will do. */
  floor: string;
  surroundings: Surroundings;
}

export function judgeMachine({ vidbatch, node, floor, surroundings }: MachineFacts): Check[] {
  const checks = [ok('vidbatch', `version ${vidbatch}`)];
  checks.push(
    isBelow(node, floor)
      ? failed('node', `version ${node} is older than ${floor}`, `Install Node ${floor} or newer.`)
      : ok('node', `version ${node}; ${floor} or newer will do`),
  );
  if (surroundings.tlsUnchecked) {
    checks.push(
      warning(
        'tls',
        'NODE_TLS_REJECT_UNAUTHORIZED=0: no certificate is checked, so anyone on the way can read the API key',
        'Remove it; NODE_EXTRA_CA_CERTS names a file of certificates to trust beside the usual ones.',
      ),
    );
  }
  if (surroundings.proxies.length > 0) {
    checks.push(
      warning(
        'proxy',
        `${surroundings.proxies.join(', ')}: set, and not used: vidbatch connects to the provider directly`,
        'Nothing to do where the provider can be reached without a proxy, which the checks below say.',
      ),
    );
  }
  return checks;
}

/** Whether a version is below another; both of three numbers. */
export function isBelow(version: string, floor: string): boolean {
  const [a, b] = [version, floor].map((text) =>
    text.split('.').map((part) => Number.parseInt(part, 10) || 0),
  );
  for (let place = 0; place < 3; place += 1) {
    const difference = (a?.[place] ?? 0) - (b?.[place] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}
