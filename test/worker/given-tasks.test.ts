import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GivenTasks } from '../../src/worker/given-tasks.ts';

test('a task id of two rows is noticed, and the same answer for one row is not', () => {
  const given = new GivenTasks();
  assert.equal(given.note('task_a', 1), undefined);
  assert.equal(given.note('task_a', 1), undefined);
  assert.equal(given.note('task_b', 2), undefined);
  assert.equal(given.note('task_a', 3), 1);
  assert.equal(given.note('task_a', 4), 1);
});

test('only the newest task ids are remembered', () => {
  const given = new GivenTasks(2);
  for (const [row, id] of ['task_a', 'task_b', 'task_c'].entries()) given.note(id, row);
  assert.equal(given.note('task_b', 9), 1);
  assert.equal(given.note('task_a', 9), undefined);
});
