import type { Evidence } from '../core/outcome.ts';
import { defined } from '../core/json.ts';
import type { RawRow } from '../manifest/entry.ts';
import { readRequest } from '../manifest/request/read-request.ts';
import type { Profile } from '../provider/profile/schema.ts';

/**
 * The first rule that a request breaks; undefined: none. It was valid when its manifest was read, but the rules or the
 * models may have changed, or a person has edited the ledger. Warnings, and texts that `--as-written` allows, were accepted
 * when the manifest was read.
 */
export function brokenRule(
  request: string,
  models: readonly string[],
  profile?: Profile,
): Evidence | undefined {
  const [fault] = faultsOf(request, models, profile);
  if (fault === undefined) return undefined;
  const { column, rule, message } = fault;
  return {
    phase: 'connecting',
    code: rule,
    message: `not sent: ${column === undefined ? message : `${column} ${message}`}`,
  };
}

function faultsOf(
  request: string,
  models: readonly string[],
  profile: Profile | undefined,
): { rule: string; column?: string; message: string }[] {
  let body: RawRow;
  try {
    body = JSON.parse(request) as RawRow;
  } catch {
    return [{ rule: 'request-json', message: 'the request in the ledger is not JSON' }];
  }
  const { faults } = readRequest(body, {
    source: 'json',
    line: 0,
    models,
    ...defined({ profile }),
    asWritten: true,
  });
  return faults.filter(({ severity }) => severity === 'error');
}
