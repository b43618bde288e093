import { createHash } from 'node:crypto';
import { isThisMachine } from '../../core/base-url.ts';
import { usageError, type VidbatchError } from '../../core/errors.ts';

const FORMATS = ['json', 'slack', 'dingtalk', 'feishu', 'wecom'] as const;
type Format = (typeof FORMATS)[number];

/** Where notifications go. Its URL is a secret: a person who knows it can write to that place. */
export interface Target {
  /** A hash, which names the target in the ledger. */
  id: string;
  format: Format;
  /** Scheme and host: all that is shown of the URL. */
  place: string;
  /** Without the fragment. */
  url: string;
  /** Signs what is sent. */
  secret?: string;
}

const HOSTS: Readonly<Record<string, Format>> = {
  'hooks.slack.com': 'slack',
  'hooks.slack-gov.com': 'slack',
  'oapi.dingtalk.com': 'dingtalk',
  'api.dingtalk.com': 'dingtalk',
  'open.feishu.cn': 'feishu',
  'open.larksuite.com': 'feishu',
  'qyapi.weixin.qq.com': 'wecom',
};

/**
 * The targets of the values of `--notify`. A prefix tells the format, as in `slack+https://…`; without one it follows from the
 * host, and is JSON for any other host. The secret is the fragment of the URL, which is never sent, or else `secret`.
 * @throws VidbatchError exit 2, which shows nothing of a URL but scheme and host.
 */
export function parseTargets(
  values: readonly string[],
  { allowHttp, secret }: { allowHttp: boolean; secret?: string | undefined },
): Target[] {
  const targets = values.map((text, n) => parseTarget(text, n + 1, { allowHttp, secret }));
  return [...new Map(targets.map((target) => [target.id, target])).values()];
}

function parseTarget(
  text: string,
  number: number,
  { allowHttp, secret }: { allowHttp: boolean; secret: string | undefined },
): Target {
  const [, prefix, rest = ''] = /^(?:([a-z]+)\+)?(.*)$/is.exec(text.trim()) ?? [];
  const named = FORMATS.find((format) => format === prefix?.toLowerCase());
  if (prefix !== undefined && named === undefined)
    throw wrong(number, `has the format "${prefix.slice(0, 20)}"; the formats are ${FORMATS.join(', ')}`);
  const url = URL.parse(rest);
  if (url === null) throw wrong(number, 'is not a URL');
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw wrong(number, 'begins with neither https:// nor http://');
  const place = `${url.protocol}//${url.host}`;
  if (url.username !== '' || url.password !== '')
    throw wrong(number, `(${place}) contains a user name or a password`);
  if (url.protocol === 'http:' && !allowHttp && !isThisMachine(url.hostname))
    throw wrong(number, `(${place}) is plain http: others could read it`, ', or add --allow-http');
  const own = decodeFragment(url.hash.slice(1));
  url.hash = '';
  const format = named ?? HOSTS[url.hostname] ?? 'json';
  const id = createHash('sha256').update(`${format} ${url.href}`).digest('hex').slice(0, 32);
  const signs = own ?? secret;
  return { id, format, place, url: url.href, ...(signs === undefined ? {} : { secret: signs }) };
}

function decodeFragment(text: string): string | undefined {
  if (text === '') return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function wrong(number: number, what: string, more = ''): VidbatchError {
  return usageError(
    'BAD_NOTIFY_URL',
    `--notify: URL ${number} ${what}`,
    `Give https://…, or for example slack+https://…${more}; see docs/notifications.md.`,
  );
}

/** `slack at https://hooks.slack.com`; the URL itself is never shown. */
export function formatTarget({ format, place }: Pick<Target, 'format' | 'place'>): string {
  return `${format} at ${place}`;
}
