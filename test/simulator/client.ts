import type { TestContext } from 'node:test';
import { Agent, request } from 'undici';
import { type Simulator, type SimulatorOptions, startSimulator } from '../../src/simulator/server.ts';

export const PATH = '/v1/video/generations';
export const ROW = { model: 'viduq3p-720p', prompt: 'a red kite over the sea', duration: 5 };

export interface Seen {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

/** A simulator and a client of its own, both gone when the test is over. */
export async function start(t: TestContext, options: SimulatorOptions = {}): Promise<Client> {
  const simulator = await startSimulator(options);
  const agent = new Agent({ allowH2: false, pipelining: 1 });
  t.after(async () => {
    await simulator.close();
    await agent.destroy();
  });
  return new Client(simulator, agent);
}

export class Client {
  readonly simulator: Simulator;
  readonly agent: Agent;

  constructor(simulator: Simulator, agent: Agent) {
    this.simulator = simulator;
    this.agent = agent;
  }

  /** The answer once it has been read to its end; rejects when the connection breaks before. */
  async send(method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown, headers = {}): Promise<Seen> {
    const answer = await request(this.simulator.url + path, {
      method,
      dispatcher: this.agent,
      headers: { authorization: 'Bearer sk-test', 'content-type': 'application/json', ...headers },
      body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body),
    });
    return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() };
  }

  create(row: object = ROW, headers: Record<string, string> = {}): Promise<Seen> {
    return this.send('POST', PATH, row, headers);
  }

  fault(name: string, row: object = ROW): Promise<Seen> {
    return this.create(row, { 'x-simulate': name });
  }

  query(taskId: string, headers: Record<string, string> = {}): Promise<Seen> {
    return this.send('GET', `${PATH}/${taskId}`, undefined, headers);
  }

  /** The task id of a create that is expected to succeed. */
  async taskId(row: object = ROW): Promise<string> {
    return fields((await this.create(row)).text)['task_id'] as string;
  }
}

export function fields(text: string): Record<string, unknown> {
  return JSON.parse(text) as Record<string, unknown>;
}

/** The code of an answer in either of the gateway's shapes. */
export function codeOf(seen: Seen): unknown {
  const body = fields(seen.text) as { code?: unknown; error?: { code?: unknown } };
  return body.error?.code ?? body.code;
}
