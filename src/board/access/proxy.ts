import type { IncomingHttpHeaders } from 'node:http';
import ipaddr from 'ipaddr.js';
import { usageError } from '../../core/errors.ts';

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Range = ReturnType<typeof ipaddr.parseCIDR>;

/** The parts of a request that name its sender. */
export interface Sender {
  headers: IncomingHttpHeaders;
  socket: { remoteAddress?: string | undefined };
}

/** The proxies that `--trusted-proxy` names. The board believes their forwarding headers, and no others. */
export class Proxies {
  readonly #ranges: readonly Range[];

  /** @throws VidbatchError exit 2 for a name that is neither an IP address nor a network such as 10.0.0.0/8. */
  constructor(names: readonly string[]) {
    this.#ranges = names.map(parseRange);
  }

  /**
   * The address of the client. Each proxy appends to X-Forwarded-For, so the list is read from its end, as far as the
   * proxies are trusted. Addresses that a client invents come before those, and are never read.
   */
  clientOf({ headers, socket }: Sender): string {
    let client = parseAddress(socket.remoteAddress);
    if (client === undefined) return '';
    for (const name of listOf(headers['x-forwarded-for']).toReversed()) {
      if (!this.#trusts(client)) break;
      const before = parseAddress(name);
      if (before === undefined) break;
      client = before;
    }
    return client.toString();
  }

  /** Whether a trusted proxy says that the browser uses TLS. */
  isSecure({ headers, socket }: Sender): boolean {
    const proxy = parseAddress(socket.remoteAddress);
    return proxy !== undefined && this.#trusts(proxy) && listOf(headers['x-forwarded-proto'])[0] === 'https';
  }

  #trusts(address: Address): boolean {
    return this.#ranges.some(
      ([network, bits]) => network.kind() === address.kind() && address.match(network, bits),
    );
  }
}

function parseRange(name: string): Range {
  try {
    if (name.includes('/')) return ipaddr.parseCIDR(name);
    const address = parseAddress(name);
    if (address !== undefined) return [address, address.kind() === 'ipv4' ? 32 : 128];
  } catch {
    // Not a network: the error below says so.
  }
  throw usageError(
    'BAD_PROXY',
    `--trusted-proxy: "${name}" is not an IP address such as 10.0.0.7, nor a network such as 10.0.0.0/8`,
    'Give an address: a host name may get another address later.',
  );
}

/** An IPv4 address in IPv6 form becomes IPv4. Undefined: not an address. */
function parseAddress(text: string | undefined): Address | undefined {
  // No proxy writes forms such as `127.1` or `0x7f000001`.
  if (text === undefined || !/^(?:\d+\.\d+\.\d+\.\d+|[\da-f:.]*:[\da-f:.]*)$/i.test(text)) return undefined;
  return ipaddr.isValid(text) ? ipaddr.process(text) : undefined;
}

function listOf(header: string | string[] | undefined): string[] {
  return [header ?? []].flat().flatMap((one) => one.split(',').map((part) => part.trim()));
}
