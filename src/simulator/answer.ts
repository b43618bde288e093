/** A whole HTTP answer, before a fault spoils it. */
export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

export function json(status: number, value: unknown, headers: Record<string, string> = {}): Answer {
  const body = JSON.stringify(value);
  return { status, headers: { 'content-type': 'application/json; charset=utf-8', ...headers }, body };
}

/** A page for people, as from a proxy in front of the gateway. */
export function html(status: number, title: string, headers: Record<string, string> = {}): Answer {
  const body = `<!DOCTYPE html>\n<html><head><title>${title}</title></head><body><h1>${title}</h1></body></html>\n`;
  return { status, headers: { 'content-type': 'text/html; charset=utf-8', ...headers }, body };
}

export function text(status: number, body: string, headers: Record<string, string> = {}): Answer {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8', ...headers }, body };
}

/** The gateway's shape for refusals about the account, the key or the channel. */
export function gatewayError(
  status: number,
  code: string,
  message: string,
  headers: Record<string, string> = {},
): Answer {
  return json(status, { error: { message, type: 'new_api_error', code } }, headers);
}

/** The gateway's shape for refusals about a task. */
export function taskError(
  status: number,
  code: string,
  message: string,
  headers: Record<string, string> = {},
): Answer {
  return json(status, { code, message, data: null }, headers);
}

/** The gateway relays a refusal of the vendor: the vendor's JSON, as a string inside the message. */
export function vendorError(
  status: number,
  reason: string,
  message: string,
  headers: Record<string, string> = {},
): Answer {
  const inner = JSON.stringify({ code: status, reason, message, metadata: {} });
  return taskError(status, 'fail_to_fetch_task', inner, headers);
}

/** No such path on the gateway. */
export function invalidUrl(method: string, path: string): Answer {
  const message = `Invalid URL (${method} ${path})`;
  return json(404, { error: { message, type: 'invalid_request_error', param: '', code: '' } });
}

/** A task id that the gateway does not know, or does not know yet. */
export function taskNotExist(status: 400 | 404): Answer {
  return taskError(status, 'task_not_exist', 'task_not_exist');
}

export function tooLarge(): Answer {
  return taskError(413, 'read_request_body_failed', 'http: request body too large');
}

/** The success answer of the contract page. `at`: milliseconds since 1970. */
export function created(task: { taskId: string; model: unknown; at: number }): Answer {
  return json(200, {
    id: task.taskId,
    task_id: task.taskId,
    object: 'video.generation.job',
    model: task.model,
    status: 'queued',
    progress: 0,
    created_at: Math.floor(task.at / 1000),
  });
}

/** The same answer with everything in it except the task id. */
export function withoutId(answer: Answer): Answer {
  const { id: _id, task_id: _taskId, ...rest } = JSON.parse(answer.body) as Record<string, unknown>;
  return { ...answer, body: JSON.stringify(rest) };
}

/** Where to cut an answer so that it loses its task id. */
export function cutBeforeId(body: string): number {
  const id = body.indexOf('"task_');
  return id === -1 ? Math.floor(body.length / 2) : id + 8;
}
