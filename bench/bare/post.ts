import { Pool } from 'undici';

export interface Poster {
  /** Resolves with the task id. */
  post: (body: string) => Promise<string>;
  close: () => Promise<void>;
}

/** What anybody would write: one POST with undici, and the task id of its answer. */
export function openPoster(baseUrl: string, connections: number): Poster {
  const pool = new Pool(baseUrl, { connections, pipelining: 1 });
  const headers = { authorization: 'Bearer bench', 'content-type': 'application/json' };
  return {
    async post(body) {
      const answer = await pool.request({ method: 'POST', path: '/v1/video/generations', headers, body });
      const { task_id: taskId } = (await answer.body.json()) as { task_id: string };
      if (answer.statusCode !== 200) throw new Error(`HTTP ${answer.statusCode}`);
      return taskId;
    },
    close: () => pool.close(),
  };
}
