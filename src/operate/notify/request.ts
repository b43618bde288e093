import { createHmac } from 'node:crypto';
import { storable } from '../../core/text.ts';
import { VERSION } from '../../core/version.ts';
import type { Message } from './message.ts';
import type { Target } from './target.ts';

/** A message on its way. */
export interface Notification extends Message {
  /** The same in each try, and for no other message. */
  id: string;
  /** Null: a test without a ledger. */
  ledger: string | null;
  at: Date;
}

/** One POST. */
export interface NotifyRequest {
  url: string;
  headers: Record<string, string>;
  body: string;
}

/** The version of the JSON format. A new field does not change it. */
const FORMAT_VERSION = 1;

/** WeCom allows 2,048 bytes of text, the others more. */
const MOST_BYTES = 2_000;

/** `now`: milliseconds since the epoch; signatures are valid for minutes only, so each try has its own. */
export function formatRequest(target: Target, notification: Notification, now: number): NotifyRequest {
  const { url, secret } = target;
  const headers = {
    'content-type': 'application/json; charset=utf-8',
    'user-agent': `vidbatch/${VERSION}`,
  };
  const text = storable(`vidbatch: ${notification.text}\nnext: ${notification.command}`, MOST_BYTES);
  switch (target.format) {
    case 'json':
      return jsonRequest(url, headers, notification, secret, now);
    case 'slack': {
      // Otherwise a name could mention a channel: <!channel>.
      const escaped = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
      return { url, headers, body: JSON.stringify({ text: escaped }) };
    }
    case 'dingtalk': {
      const body = JSON.stringify({ msgtype: 'text', text: { content: text } });
      return { url: secret === undefined ? url : signedByDingTalk(url, secret, now), headers, body };
    }
    case 'feishu': {
      const signature = secret === undefined ? {} : signedByFeishu(secret, now);
      const body = { ...signature, msg_type: 'text', content: { text: withoutTags(text) } };
      return { url, headers, body: JSON.stringify(body) };
    }
    case 'wecom':
      return {
        url,
        headers,
        body: JSON.stringify({ msgtype: 'text', text: { content: withoutTags(text) } }),
      };
  }
}

function jsonRequest(
  url: string,
  headers: Record<string, string>,
  { id, event, ledger, at, text, command, data }: Notification,
  secret: string | undefined,
  now: number,
): NotifyRequest {
  const body = JSON.stringify({ version: FORMAT_VERSION, id, event, at, ledger, text, command, data });
  const timestamp = String(Math.floor(now / 1000));
  const signature =
    secret === undefined
      ? {}
      : {
          'x-vidbatch-signature': `sha256=${createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')}`,
        };
  return {
    url,
    body,
    headers: {
      ...headers,
      'x-vidbatch-event': event,
      'x-vidbatch-delivery': id,
      'x-vidbatch-timestamp': timestamp,
      ...signature,
    },
  };
}

/** HMAC of `timestamp\nsecret` under the secret, in milliseconds, in the query. */
function signedByDingTalk(url: string, secret: string, now: number): string {
  const signed = new URL(url);
  signed.searchParams.set('timestamp', String(now));
  signed.searchParams.set('sign', createHmac('sha256', secret).update(`${now}\n${secret}`).digest('base64'));
  return signed.href;
}

/** HMAC of nothing under `timestamp\nsecret`, in seconds, in the body. */
function signedByFeishu(secret: string, now: number): { timestamp: string; sign: string } {
  const timestamp = String(Math.floor(now / 1000));
  return { timestamp, sign: createHmac('sha256', `${timestamp}\n${secret}`).digest('base64') };
}

/** Feishu and WeCom read tags such as `<at user_id="all">` in a text. */
function withoutTags(text: string): string {
  return text.replaceAll('<', '＜');
}
