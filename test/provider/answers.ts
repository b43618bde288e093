import type { Answer } from '../../src/provider/answer.ts';
import { dialectOf } from '../../src/provider/dialect.ts';
import { judge as judgeBy } from '../../src/provider/judgement.ts';
import type { CodeOverrides } from '../../src/provider/outcome-table.ts';
import { defaultProfile } from '../../src/provider/profile/load.ts';
import { formatFault, readProfile } from '../../src/provider/profile/read.ts';
import type { Profile } from '../../src/provider/profile/schema.ts';
import type { Outcome } from '../../src/core/outcome.ts';

/** The default profile with these lines of YAML laid over it. */
export function profileWith(...lines: string[]): Profile {
  const read = readProfile(['profile: 1', 'name: changed', 'extends: vidu-gateway', ...lines].join('\n'));
  if ('profile' in read) return read.profile;
  throw new Error(read.faults.map(formatFault).join('\n'));
}

/** The default profile, with what the configuration lays over it. */
export const dialect = (codes: CodeOverrides = {}): ReturnType<typeof dialectOf> =>
  dialectOf(defaultProfile(), codes);

/** The outcome by the default profile. */
export function judge(
  given: Answer,
  { codes, ...options }: { now: number; codes?: CodeOverrides; redact?: (text: string) => string },
): Outcome {
  return judgeBy(given, dialect(codes), options);
}

/** An answer with this body, as JSON unless it is text. */
export function answer(status: number, body: unknown, headers: Answer['headers'] = {}): Answer {
  return { status, headers, body: typeof body === 'string' ? body : JSON.stringify(body) };
}

export const gateway = (code: string, message = 'words'): unknown => ({ code, message, data: null });
export const openai = (code: string, message = 'words'): unknown => ({
  error: { message, type: 'new_api_error', code },
});
export const vendor = (reason: string): unknown =>
  gateway(
    'fail_to_fetch_task',
    JSON.stringify({ code: 400, reason, message: `why: ${reason}`, metadata: {} }),
  );
export const HTML = '<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>';
