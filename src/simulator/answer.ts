/** A whole HTTP answer, before a fault. */
export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: string;
  /** The task that it names, for the faults that remove its id. */
  taskId?: string;
}

export function json(status: number, value: unknown, headers: Record<string, string> = {}): Answer {
  const body = JSON.stringify(value);
  return { status, headers: { 'content-type': 'application/json; charset=utf-8', ...headers }, body };
}

/** A page, as from a proxy in front of the provider. */
export function html(status: number, title: string, headers: Record<string, string> = {}): Answer {
  const body = `<!DOCTYPE html>\n<html><head><title>${title}</title></head><body><h1>${title}</h1></body></html>\n`;
  return { status, headers: { 'content-type': 'text/html; charset=utf-8', ...headers }, body };
}

export function text(status: number, body: string, headers: Record<string, string> = {}): Answer {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8', ...headers }, body };
}

/** The same answer without the task id, and without a URL that ends in it. */
export function withoutId(answer: Answer): Answer {
  const { taskId = '' } = answer;
  const members = Object.entries(JSON.parse(answer.body) as Record<string, unknown>);
  const rest = members.filter(([, value]) => value !== taskId && !String(value).endsWith(`/${taskId}`));
  return { ...answer, body: JSON.stringify(Object.fromEntries(rest)) };
}

/** The beginning of an answer, which ends within its task id. */
export function cutBeforeId({ body, taskId }: Answer): string {
  const id = taskId === undefined ? -1 : body.indexOf(`"${taskId}"`);
  return body.slice(0, id === -1 ? Math.floor(body.length / 2) : id + 8);
}
