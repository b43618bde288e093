/** What the providers' documents show means by the built-in profiles what it should. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Answer } from '../../../src/provider/answer.ts';
import { dialectOf } from '../../../src/provider/dialect.ts';
import { judge } from '../../../src/provider/judgement.ts';
import { builtInNames } from '../../../src/provider/profile/built-in.ts';
import { builtInProfile, DEFAULT_PROFILE } from '../../../src/provider/profile/load.ts';
import type { Profile } from '../../../src/provider/profile/schema.ts';
import { readTask } from '../../../src/provider/task-answer.ts';
import { fillTemplate } from '../../../src/provider/profile/template.ts';
import { readRequest } from '../../../src/manifest/request/read-request.ts';
import { CREATES, REQUESTS, TASKS, type Documented } from './documents.ts';

const NOW = 1_796_000_000_000;

const answerOf = ({ status, headers = {}, body }: Documented): Answer => ({
  status,
  headers,
  body: JSON.stringify(body),
});

const profileOf = (name: string): Profile => builtInProfile(name)?.profile ?? assert.fail(name);

for (const name of builtInNames().filter((one) => one !== DEFAULT_PROFILE)) {
  suite(name, () => {
    const dialect = dialectOf(profileOf(name));

    for (const { source, mode, row, path, body } of REQUESTS[name] ?? assert.fail(`no request of ${name}`)) {
      test(`a row of the mode ${mode} becomes the body that the documents show`, () => {
        const profile = profileOf(name);
        const read = readRequest(row, { source: 'json', line: 1, profile });
        assert.deepEqual(
          read.faults.filter(({ severity }) => severity === 'error'),
          [],
        );
        assert.equal(read.mode, mode);
        assert.equal(profile.create.path[mode], path);
        assert.deepEqual(fillTemplate(profile.create.body ?? {}, { ...read.request }), body, source);
      });
    }

    for (const documented of CREATES[name] ?? assert.fail(`no create of ${name} is documented`)) {
      const { means, source, status, body } = documented;
      test(`a create that answers ${status} ${JSON.stringify(body).slice(0, 60)} is ${means.kind}`, () => {
        const outcome = judge(answerOf(documented), dialect, { now: NOW, queryUrlOf: (url) => url });
        const { afterMs, code, ...rest } = means;
        assert.partialDeepStrictEqual(outcome, rest, source);
        if (afterMs !== undefined) assert.partialDeepStrictEqual(outcome, { retry: { afterMs } });
        if (code !== undefined) assert.equal(outcome.evidence.code, code);
      });
    }

    for (const documented of TASKS[name] ?? assert.fail(`no task of ${name} is documented`)) {
      const { means, source, status, body } = documented;
      test(`a poll that answers ${status} ${JSON.stringify(body).slice(0, 60)} is read`, () => {
        const report = readTask(answerOf(documented), dialect, { now: NOW });
        assert.partialDeepStrictEqual(report, means, source);
      });
    }

    test('a status that no document names proves nothing', () => {
      // new-api follows the gateway's source, as the default does.
      const unnamed = name === 'new-api' ? [409, 500] : [406, 409, 418, 424, 451, 499, 500, 503, 529];
      for (const status of unnamed) {
        const outcome = judge({ status, headers: {}, body: '{"message":"no"}' }, dialect, { now: NOW });
        assert.equal(outcome.kind, 'uncertain', `HTTP ${status}`);
      }
    });

    test('its documents are named, and what they do not say', () => {
      const { documents, unverified } = profileOf(name);
      assert.ok(documents.length > 0 && documents.every((one) => one.startsWith('https://')));
      assert.ok(unverified.length > 0);
    });
  });
}
