import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatRequest, type Notification } from '../../../src/operate/notify/request.ts';
import { formatTarget, parseTargets } from '../../../src/operate/notify/target.ts';

const NOW = 1_700_000_000_000;
const NOTE: Notification = {
  id: 'ledger-1',
  ledger: 'ledger',
  event: 'batch-done',
  at: new Date(NOW),
  text: 'batch <!channel> & <at user_id="all"> is done',
  command: 'vidbatch status x',
  data: {},
};
const parse = (url: string, { secret, allowHttp = false }: { secret?: string; allowHttp?: boolean } = {}) =>
  parseTargets([url], { secret, allowHttp })[0] ?? assert.fail('no target');
const requestOf = (url: string, secret?: string) =>
  formatRequest(parse(url, secret === undefined ? {} : { secret }), NOTE, NOW);

test('the host tells the format, and a prefix tells it for any host', () => {
  const formats = [
    'https://hooks.slack.com/services/T/B/x',
    'https://oapi.dingtalk.com/robot/send?access_token=x',
    'https://open.feishu.cn/open-apis/bot/v2/hook/x',
    'https://open.larksuite.com/open-apis/bot/v2/hook/x',
    'https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=x',
    'https://example.com/hook',
    'slack+https://chat.example.com/hooks/x',
    'json+https://hooks.slack.com/x',
  ].map((url) => parse(url).format);
  assert.deepEqual(formats, ['slack', 'dingtalk', 'feishu', 'feishu', 'wecom', 'json', 'slack', 'json']);
});

test('a URL that cannot be used is refused, and nothing of it is shown but scheme and host', () => {
  for (const url of [
    'not-a-url-tok3n',
    'ftp://example.com/tok3n',
    'http://example.com/tok3n',
    'https://tok3n:tok3n@example.com/',
    'irc+https://example.com/tok3n',
  ]) {
    assert.throws(
      () => parse(url),
      (error: Error) => {
        assert.match(error.message, /^--notify: URL 1 /);
        assert.doesNotMatch(JSON.stringify(error) + error.message, /tok3n/);
        return true;
      },
    );
  }
  assert.equal(parse('http://example.com/x', { allowHttp: true }).place, 'http://example.com');
  assert.equal(parse('http://127.0.0.1:9/x').place, 'http://127.0.0.1:9');
  assert.equal(
    formatTarget(parse('https://hooks.slack.com/services/tok3n')),
    'slack at https://hooks.slack.com',
  );
});

test('the same URL twice is one target, and the fragment is a secret that is not sent', () => {
  const targets = parseTargets(['https://a.example/x#one', 'https://a.example/x'], {
    allowHttp: false,
    secret: 'two',
  });
  assert.deepEqual(
    targets.map(({ url, secret }) => [url, secret]),
    [['https://a.example/x', 'two']],
  );
  assert.equal(parse('https://a.example/x#a%20b').secret, 'a b');
});

// The signatures were computed with Python's hmac by the rules that DingTalk and Feishu publish.
test('DingTalk gets its signature in the query, over milliseconds', () => {
  const { url, body } = requestOf(
    'https://oapi.dingtalk.com/robot/send?access_token=x',
    'SECthis is a secret',
  );
  const query = new URL(url).searchParams;
  assert.equal(query.get('access_token'), 'x');
  assert.equal(query.get('timestamp'), '1700000000000');
  assert.equal(query.get('sign'), 'eukb0/cx+2Yb7jYCj3ja4Oo0yo6tWRFPgzX+eLPsNhU=');
  assert.match(url, /sign=eukb0%2Fcx%2B2Yb7jYCj3ja4Oo0yo6tWRFPgzX%2BeLPsNhU%3D/);
  assert.deepEqual(JSON.parse(body), {
    msgtype: 'text',
    text: { content: `vidbatch: ${NOTE.text}\nnext: vidbatch status x` },
  });
  assert.equal(new URL(requestOf('https://oapi.dingtalk.com/robot/send').url).search, '');
});

test('Feishu gets its signature in the body, over seconds, and no tag', () => {
  const { body } = requestOf('https://open.feishu.cn/hook', 'SECthis is a secret');
  assert.deepEqual(JSON.parse(body), {
    timestamp: '1700000000',
    sign: 'qHhMkq2/oY+0rotbqMIO//0rLlN8zpTjomBrUZ4qb+4=',
    msg_type: 'text',
    content: { text: `vidbatch: batch ＜!channel> & ＜at user_id="all"> is done\nnext: vidbatch status x` },
  });
});

test('Slack and WeCom get text that mentions no person and no channel', () => {
  assert.deepEqual(JSON.parse(requestOf('https://hooks.slack.com/x').body), {
    text: 'vidbatch: batch &lt;!channel&gt; &amp; &lt;at user_id="all"&gt; is done\nnext: vidbatch status x',
  });
  assert.doesNotMatch(requestOf('https://qyapi.weixin.qq.com/x').body, /</);
});
