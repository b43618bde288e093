import { lookup as systemLookup, type LookupAddress, type LookupOptions } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { buildConnector } from 'undici';

/** Where a download may connect to. */
export interface Reach {
  /** Loopback and private networks too. Never link-local addresses: a cloud's metadata service is one. */
  allowPrivate: boolean;
  /** `host` or `host:port` that may be connected to at any address. */
  allowHosts: readonly string[];
}

const PRIVATE: ReadonlySet<string> = new Set(['loopback', 'private', 'carrierGradeNat', 'uniqueLocal']);

/** Whether an address may be connected to. An address that is not known to be public may not. */
export function isReachable(address: string, { allowPrivate }: Pick<Reach, 'allowPrivate'>): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = plain(ipaddr.process(address));
  const range = parsed.range();
  if (PRIVATE.has(range)) return allowPrivate;
  // The library also calls other ranges unicast, such as `::/96`; only 2000::/3 is public (RFC 4291).
  return range === 'unicast' && (parsed.kind() === 'ipv4' || (parsed.toByteArray()[0] ?? 0) >> 5 === 1);
}

/** An address in 64:ff9b::/96 stands for the IPv4 address that a NAT64 connects to. */
function plain(address: ipaddr.IPv4 | ipaddr.IPv6): ipaddr.IPv4 | ipaddr.IPv6 {
  const bytes = address.toByteArray();
  const isNat64 = address.kind() === 'ipv6' && address.match(ipaddr.IPv6.parse('64:ff9b::'), 96);
  return isNat64 ? ipaddr.fromByteArray(bytes.slice(12)) : address;
}

export class UnreachableAddress extends Error {
  override readonly name = 'UnreachableAddress';

  constructor(host: string, address?: string) {
    super(`${host} is ${address === undefined || address === host ? '' : `${address}, `}no public address`);
  }
}

/**
 * Connects to the address that was checked: a name is resolved once, and forbidden addresses are removed before a socket is
 * made.
 */
export function guardedConnector(
  reach: Reach,
  { timeoutMs, lookup = systemLookup }: { timeoutMs: number; lookup?: typeof systemLookup },
): buildConnector.connector {
  const shared = { allowH2: false, timeout: timeoutMs };
  const guarded = buildConnector({ ...shared, lookup: guardedLookup(reach, lookup) });
  const open = buildConnector(shared);
  const named = new Set(reach.allowHosts.map((host) => host.toLowerCase()));
  return (options, callback) => {
    const host = options.hostname.replace(/^\[(.*)\]$/, '$1').toLowerCase();
    const port = options.port || (options.protocol === 'https:' ? '443' : '80');
    if (named.has(host) || named.has(`${host}:${port}`) || named.has(`[${host}]:${port}`)) {
      open(options, callback);
      return;
    }
    // An address is not looked up.
    if (isIP(host) !== 0 && !isReachable(host, reach)) callback(new UnreachableAddress(host), null);
    else guarded(options, callback);
  };
}

function guardedLookup(reach: Reach, lookup: typeof systemLookup): LookupFunction {
  return (host, options: LookupOptions, callback) => {
    lookup(host, { ...options, all: true }, (error, found: LookupAddress[]) => {
      if (error !== null) {
        callback(error, []);
        return;
      }
      const good = found.filter(({ address }) => isReachable(address, reach));
      const first = good[0];
      if (first === undefined) callback(new UnreachableAddress(host, found[0]?.address), []);
      else if (options.all === true) callback(null, good);
      else callback(null, first.address, first.family);
    });
  };
}
