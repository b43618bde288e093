import type { IncomingHttpHeaders } from 'node:http';
import ipaddr from 'ipaddr.js';
import { usageError } from '../core/errors.ts';

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Range = ReturnType<typeof ipaddr.parseCIDR>;

/** A request, as far as it says who asks. */
export interface Asking {
  headers: IncomingHttpHeaders;
  socket: { remoteAddress?: string | undefined };
}

/** The proxies that `--trusted-proxy` names. Only their word on who asks, and how, counts. */
export class Proxies {
  readonly #ranges: readonly Range[];

  /** @throws VidbatchError exit 2 for what is neither an IP address nor a network such as 10.0.0.0/8. */
  constructor(names: readonly string[]) {
    this.#ranges = names.map(readRange);
  }

  /**
   * The address of the client. The last proxy wrote the last address of X-Forwarded-For, so the list is read from its
   * end; what a client writes into the header itself stands before that, and is never reached.
   */
  clientOf({ headers, socket }: Asking): string {
    let client = addressOf(socket.remoteAddress);
    if (client === undefined) return '';
    for (const name of listOf(headers['x-forwarded-for']).toReversed()) {
      if (!this.#trusts(client)) break;
      const before = addressOf(name);
      if (before === undefined) break;
      client = before;
    }
    return client.toString();
  }

  /** Whether the browser speaks TLS, as a trusted proxy says. */
  isSecure({ headers, socket }: Asking): boolean {
    const proxy = addressOf(socket.remoteAddress);
    return proxy !== undefined && this.#trusts(proxy) && listOf(headers['x-forwarded-proto'])[0] === 'https';
  }

  #trusts(address: Address): boolean {
    return this.#ranges.some(
      ([network, bits]) => network.kind() === address.kind() && address.match(network, bits),
    );
  }
}

function readRange(name: string): Range {
  try {
    if (name.includes('/')) return ipaddr.parseCIDR(name);
    const address = addressOf(name);
    if (address !== undefined) return [address, address.kind() === 'ipv4' ? 32 : 128];
  } catch {
    // Not a network: said below.
  }
  throw usageError(
    'BAD_PROXY',
    `--trusted-proxy: "${name}" is not an IP address such as 10.0.0.7, nor a network such as 10.0.0.0/8`,
    'Give the address: a name may lead to another address later.',
  );
}

/** An IPv4 address in IPv6 clothes is the IPv4 address. Undefined: no address. */
function addressOf(text: string | undefined): Address | undefined {
  // `127.1` and `0x7f000001` are numbers of a kind that no proxy writes.
  if (text === undefined || !/^(?:\d+\.\d+\.\d+\.\d+|[\da-f:.]*:[\da-f:.]*)$/i.test(text)) return undefined;
  return ipaddr.isValid(text) ? ipaddr.process(text) : undefined;
}

function listOf(header: string | string[] | undefined): string[] {
  return [header ?? []].flat().flatMap((one) => one.split(',').map((part) => part.trim()));
}
