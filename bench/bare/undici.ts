/** The ceiling: so many requests at a time, and nothing else. */
import { crashPoint } from '../../src/core/crash-points.ts';
import { bodyOf } from '../rows.ts';
import { openPoster } from './post.ts';
import { readTask } from './task.ts';

const { baseUrl, rows, concurrency } = readTask();
const { post, close } = openPoster(baseUrl, concurrency);
const bodies = Array.from({ length: rows }, (_, row) => bodyOf(row));

async function send(): Promise<void> {
  for (let body = bodies.pop(); body !== undefined; body = bodies.pop()) await post(body);
}

crashPoint('job-taken');
await Promise.all(Array.from({ length: concurrency }, send));
await close();
