import { usageError } from '../../core/errors.ts';

/** Where to listen. Without a host: on every address of this machine, IPv4 and IPv6. */
export interface Address {
  host?: string;
  /** 0: any free one. */
  port: number;
}

const ADDRESS = /^(?:\[(?<six>[\da-f:.]+(?:%\w+)?)\]|(?<host>[a-z\d.-]*)):(?<port>\d{1,5})$/i;

/**
 * `127.0.0.1:9090`, `[::1]:9090`, `localhost:0`, or `:9090` for every address, as Prometheus and its exporters write it.
 * @throws VidbatchError exit 2 for anything else. A bare number is not taken: it does not say who may look.
 */
export function parseAddress(name: string, text: string): Address {
  const { six, host, port = '' } = ADDRESS.exec(text.trim())?.groups ?? {};
  const number = Number(port);
  if (port === '' || number > 65_535) {
    throw usageError(
      'BAD_ADDRESS',
      `${name}: "${text}" is not HOST:PORT, such as 127.0.0.1:9090, [::1]:9090, or :9090 for every address`,
      /^\d+$/.test(text.trim()) ? `:${text.trim()} listens on every address of this machine.` : undefined,
    );
  }
  const where = six ?? host;
  return { port: number, ...(where === undefined || where === '' ? {} : { host: where }) };
}

/** As it is written in a URL. */
export function hostOf({ host }: Address, fallback: string): string {
  const name = host ?? fallback;
  return name.includes(':') ? `[${name}]` : name;
}
