/** Seconds since the epoch from 2017 on, or milliseconds: a moment, and not a duration. */
const FROM_SECONDS = 1_500_000_000;
const FROM_MS = FROM_SECONDS * 1000;
/** The year 2100. Later ones are no time of a result. */
const UNTIL_MS = 4_102_444_800_000;

/**
 * A moment as a provider writes it, in milliseconds since the epoch: seconds or milliseconds since then, or RFC 3339
 * with its zone. Undefined for anything else, such as a duration or a time without a zone.
 */
export function readMoment(value: unknown): number | undefined {
  if (typeof value === 'number' || (typeof value === 'string' && /^\d{9,14}$/.test(value))) {
    const number = Number(value);
    if (number >= FROM_MS) return inTime(number);
    return number >= FROM_SECONDS ? inTime(number * 1000) : undefined;
  }
  if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:?\d\d)$/.test(value))
    return undefined;
  return inTime(Date.parse(value));
}

function inTime(ms: number): number | undefined {
  return ms >= FROM_MS && ms < UNTIL_MS ? ms : undefined;
}

/** Beside an `Expires` that is a moment, one of these says that the URL is signed until then. */
const SIGNATURES = ['signature', 'sig', 'x-oss-signature'];

/**
 * Until when a signed URL is good, in milliseconds since the epoch, where its parameters say so in one of the usual
 * ways: a date and a number of seconds (S3, GCS, OSS, TOS and whoever copied them), a moment beside a signature (the
 * older S3, OSS, OBS, CloudFront), Azure's `se` beside `sig`, COS's `q-sign-time`.
 */
export function expiryOfUrl(url: string): number | undefined {
  const parsed = URL.parse(url);
  if (parsed === null) return undefined;
  const values = new Map([...parsed.searchParams].map(([name, value]) => [name.toLowerCase(), value]));
  for (const [name, value] of values) {
    const vendor = /^(x-[a-z0-9]+)-expires$/.exec(name)?.[1];
    if (vendor === undefined || !/^\d{1,9}$/.test(value)) continue;
    const signed = readCompact(values.get(`${vendor}-date`) ?? '');
    if (signed !== undefined) return inTime(signed + Number(value) * 1000);
  }
  if (SIGNATURES.some((name) => values.has(name))) {
    return readMoment(values.get('expires')) ?? readMoment(values.get('se'));
  }
  const span = /^\d+;(\d+)$/.exec(values.get('q-sign-time') ?? '');
  return span === null ? undefined : readMoment(span[1]);
}

/** `20261125T191500Z` */
function readCompact(text: string): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1);
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(ms) ? undefined : ms;
}
