/** Answers as public documents show them, shortened, and what each must mean by the profile. */
import type { Outcome, TaskReport } from '../../../src/core/outcome.ts';

export interface Documented {
  /** The page that shows the answer. */
  source: string;
  status: number;
  headers?: Record<string, string>;
  body: unknown;
}

export interface DocumentedCreate extends Documented {
  means: { kind: Outcome['kind'] } & Partial<{
    taskId: string;
    providerStatus: string;
    queryUrl: string;
    afterMs: number;
    code: string;
  }>;
}

export interface DocumentedTask extends Documented {
  means: { kind: TaskReport['kind'] } & Partial<{
    status: string;
    resultUrl: string;
    failReason: string;
    cost: { amount: string; unit: string };
    progress: number;
  }>;
}

const VIDEO = 'https://storage.example.com/video.mp4';

export const CREATES: Record<string, readonly DocumentedCreate[]> = {
  'new-api': [
    {
      source: 'https://docs.newapi.pro/en/docs/api/ai-model/videos/createvideogeneration',
      status: 200,
      body: { task_id: 'abcd1234efgh', status: 'queued' },
      means: { kind: 'accepted', taskId: 'abcd1234efgh', providerStatus: 'queued' },
    },
    {
      source: 'https://docs.newapi.pro/en/docs/api/ai-model/videos/createvideogeneration',
      status: 400,
      body: { error: { message: 'string', type: 'string', param: 'string', code: 'string' } },
      means: { kind: 'rejected' },
    },
    {
      source: 'https://docs.newapi.pro/api/query-video',
      status: 403,
      body: { code: null, message: 'string', param: 'string', type: 'string' },
      means: { kind: 'halted' },
    },
    {
      source: 'https://docs.newapi.pro/api/query-video',
      status: 500,
      body: { code: null, message: 'string', param: 'string', type: 'string' },
      means: { kind: 'uncertain' },
    },
  ],
  'openai-videos': [
    {
      source: 'https://docs.lumenfall.ai/api-reference/videos/get',
      status: 200,
      body: {
        id: 'video_abc123',
        object: 'video',
        created_at: 1702345678,
        completed_at: null,
        expires_at: null,
        status: 'queued',
        model: 'sora-2',
        seconds: '10',
        output: null,
        error: null,
      },
      means: { kind: 'accepted', taskId: 'video_abc123', providerStatus: 'queued' },
    },
    {
      source: 'https://docs.merge.dev/merge-gateway/capabilities/multimodal/video-generation',
      status: 202,
      body: { id: 'vid_1', status: 'queued', model: 'minimax/minimax-h3', object: 'video', cost: null },
      means: { kind: 'accepted', taskId: 'vid_1' },
    },
    {
      source: 'https://www.developersdigest.tech/errors/api/openai-api',
      status: 429,
      body: {
        error: {
          message: 'You exceeded your current quota, please check your plan and billing details.',
          type: 'insufficient_quota',
          param: null,
          code: 'insufficient_quota',
        },
      },
      means: { kind: 'halted', code: 'insufficient_quota' },
    },
    {
      source: 'https://docs.llmgateway.io/troubleshooting/openai-429-rate-limit',
      status: 429,
      headers: { 'retry-after': '7' },
      body: {
        error: { message: 'Rate limit reached', type: 'requests', param: null, code: 'rate_limit_exceeded' },
      },
      means: { kind: 'throttled', afterMs: 7000 },
    },
    {
      source: 'https://www.developersdigest.tech/errors/api/openai-api',
      status: 503,
      body: { error: { message: 'Overloaded', type: 'service_unavailable_error', code: 'slow_down' } },
      means: { kind: 'uncertain' },
    },
  ],
  vidu: [
    {
      source: 'https://docs.powertokens.ai/en/zmodelVideo/vidu/viduq3-turbo-text-to-video',
      status: 200,
      body: {
        task_id: 'your_task_id_here',
        state: 'created',
        model: 'viduq3-turbo',
        duration: 5,
        seed: 123456789,
        payload: '',
        credits: 10,
        off_peak: false,
        created_at: '2025-01-01T15:41:31.968916Z',
      },
      means: { kind: 'accepted', taskId: 'your_task_id_here', providerStatus: 'created' },
    },
    {
      source: 'https://platform.vidu.com/docs/error-code',
      status: 400,
      body: { code: 400, reason: 'CreditInsufficient', message: 'insufficient credits', metadata: {} },
      means: { kind: 'halted', code: 'CreditInsufficient' },
    },
    {
      source: 'https://platform.vidu.com/docs/error-code',
      status: 400,
      body: { code: 400, reason: 'FieldLacking', message: 'field is missing or empty: prompt', metadata: {} },
      means: { kind: 'rejected', code: 'FieldLacking' },
    },
    {
      source: 'https://platform.vidu.com/docs/error-code',
      status: 400,
      body: { code: 400, reason: 'OperationInProcess', message: 'operation in process, please retry later' },
      means: { kind: 'uncertain', code: 'OperationInProcess' },
    },
    {
      source: 'https://platform.vidu.com/docs/error-code',
      status: 429,
      body: { code: 429, reason: 'QuotaExceeded', message: 'quota exceeded', metadata: {} },
      means: { kind: 'throttled' },
    },
    {
      source: 'https://platform.vidu.com/docs/error-code',
      status: 499,
      body: { code: 499, reason: 'Canceled', message: 'request canceled by client' },
      means: { kind: 'uncertain' },
    },
    {
      source: 'https://platform.vidu.com/docs/error-code',
      status: 500,
      body: { code: 500, reason: 'InternalServiceFailure', message: 'internal service failure' },
      means: { kind: 'uncertain' },
    },
  ],
  ark: [
    {
      source: 'https://s.apifox.cn/af3dd4ae-cb45-4f10-9f36-07ce7f213ad1/495910591e0',
      status: 200,
      body: { id: 'cgt-2026****-****' },
      means: { kind: 'accepted', taskId: 'cgt-2026****-****' },
    },
    {
      source: 'https://www.volcengine.com/docs/82379/1299023',
      status: 400,
      body: {
        error: {
          code: 'InputTextSensitiveContentDetected',
          message: 'The request failed because the input text may contain sensitive information.',
          param: '',
          type: 'BadRequest',
        },
      },
      means: { kind: 'rejected', code: 'InputTextSensitiveContentDetected' },
    },
    {
      source: 'https://www.volcengine.com/docs/82379/1299023',
      status: 403,
      body: {
        error: {
          code: 'AccountOverdueError',
          message: 'The request failed because your account has an overdue balance.',
          param: '',
          type: 'Forbidden',
        },
      },
      means: { kind: 'halted', code: 'AccountOverdueError' },
    },
    {
      source: 'https://www.volcengine.com/docs/82379/1299023',
      status: 429,
      body: {
        error: {
          code: 'RateLimitExceeded.EndpointRPMExceeded',
          message: 'The Requests Per Minute (RPM) limit of the associated endpoint has been exceeded.',
          param: '',
          type: 'TooManyRequests',
        },
      },
      means: { kind: 'throttled' },
    },
  ],
  minimax: [
    {
      source: 'https://platform.minimaxi.com/docs/api-reference/video-generation-v2-create',
      status: 200,
      body: { task_id: '424010985738629' },
      means: { kind: 'accepted', taskId: '424010985738629' },
    },
    ...(
      [
        [400, 'bad_request_error', 'invalid params (2013)', 'rejected'],
        [401, 'authorized_error', 'login fail (1004)', 'halted'],
        [402, 'insufficient_balance_error', 'insufficient balance (1008)', 'halted'],
        [422, 'unprocessable_entity_error', 'sensitive content (1026)', 'rejected'],
        [429, 'rate_limit_error', 'rate limit, please retry later (1002)', 'throttled'],
        [500, 'server_error', 'internal error (1000)', 'uncertain'],
      ] as const
    ).map(([status, type, message, kind]) => ({
      source: 'https://platform.minimaxi.com/docs/api-reference/video-generation-v2-create',
      status,
      body: {
        type: 'error',
        error: { type, message, http_code: String(status) },
        request_id: '021785229015510a2c883cf675b9804d',
      },
      means: { kind, code: type },
    })),
  ],
  openrouter: [
    {
      source: 'https://openrouter.ai/docs/client-sdks/typescript/models/videogenerationresponse',
      status: 202,
      body: { id: 'job-abc123', polling_url: '/api/v1/videos/job-abc123', status: 'pending' },
      means: {
        kind: 'accepted',
        taskId: 'job-abc123',
        providerStatus: 'pending',
        queryUrl: '/api/v1/videos/job-abc123',
      },
    },
    {
      source: 'https://openrouter.ai/docs/api/errors',
      status: 402,
      body: { error: { code: 402, message: 'Insufficient credits' } },
      means: { kind: 'halted' },
    },
    {
      source: 'https://openrouter.ai/docs/api/errors',
      status: 429,
      headers: { 'retry-after': '30' },
      body: { error: { code: 429, message: 'You are being rate limited' } },
      means: { kind: 'throttled', afterMs: 30_000 },
    },
    {
      source: 'https://openrouter.ai/docs/api/errors',
      status: 503,
      body: { error: { code: 503, message: 'There is no available model provider' } },
      means: { kind: 'uncertain' },
    },
    {
      source: 'https://openrouter.ai/docs/api/errors',
      status: 200,
      body: { error: { code: 502, message: 'Your chosen model is down' } },
      means: { kind: 'uncertain' },
    },
  ],
};

export const TASKS: Record<string, readonly DocumentedTask[]> = {
  'new-api': [
    {
      source: 'https://docs.newapi.pro/en/docs/api/ai-model/videos/get-video-generation',
      status: 200,
      body: {
        task_id: 'abcd1234efgh',
        status: 'completed',
        url: VIDEO,
        format: 'mp4',
        metadata: { duration: 5, fps: 30, width: 1280, height: 720, seed: 20231234 },
        error: { code: 0, message: 'string' },
      },
      means: { kind: 'task', status: 'completed', resultUrl: VIDEO },
    },
    {
      source: 'https://docs.newapi.pro/api/query-video',
      status: 200,
      body: { error: null, format: 'mp4', status: 'succeeded', task_id: 'abcd1234efgh', url: VIDEO },
      means: { kind: 'task', status: 'completed', resultUrl: VIDEO },
    },
  ],
  'openai-videos': [
    {
      source: 'https://docs.lumenfall.ai/api-reference/videos/get',
      status: 200,
      body: { id: 'video_abc123', object: 'video', status: 'in_progress', progress: 33, error: null },
      means: { kind: 'task', status: 'in_progress', progress: 33 },
    },
    {
      source: 'https://developers.openai.com/api/reference/cli/resources/videos',
      status: 200,
      body: {
        id: 'video_abc123',
        object: 'video',
        status: 'failed',
        progress: 0,
        error: { code: 'moderation_blocked', message: 'blocked' },
      },
      means: { kind: 'task', status: 'failed', failReason: 'blocked' },
    },
    {
      source: 'https://docs.together.ai/reference/get-videos-id',
      status: 200,
      body: { id: 'v1', model: 'm', status: 'completed', outputs: { cost: 123, video_url: VIDEO } },
      means: { kind: 'task', status: 'completed', resultUrl: VIDEO },
    },
  ],
  vidu: [
    {
      source: 'https://platform.vidu.com/docs/get-generation',
      status: 200,
      body: {
        state: 'success',
        err_code: '',
        credits: 4,
        payload: '',
        creations: [{ id: 'your_creations_id', url: VIDEO, cover_url: 'https://storage.example.com/c.jpg' }],
      },
      means: {
        kind: 'task',
        status: 'completed',
        resultUrl: VIDEO,
        cost: { amount: '4', unit: 'credit' },
      },
    },
    {
      source: 'https://platform.vidu.com/docs/get-generation',
      status: 200,
      body: { state: 'failed', err_code: 'CreationPolicyViolation', credits: 0, creations: [] },
      means: { kind: 'task', status: 'failed', failReason: 'CreationPolicyViolation' },
    },
    {
      source: 'https://platform.vidu.com/docs/error-code',
      status: 404,
      body: { code: 404, reason: 'TaskNotFound', message: 'task not found', metadata: {} },
      means: { kind: 'missing' },
    },
  ],
  ark: [
    {
      source: 'https://docs.powertokens.ai/en/zmodelVideo/byteplus/seedance/seedance-tasks-query',
      status: 200,
      body: {
        id: 'cgt-2026****-****',
        model: 'doubao-seedance-2-0-260128',
        status: 'succeeded',
        content: { video_url: VIDEO },
        usage: { completion_tokens: 108900, total_tokens: 108900 },
        created_at: 1779348818,
        updated_at: 1779348874,
        service_tier: 'default',
      },
      means: {
        kind: 'task',
        status: 'completed',
        resultUrl: VIDEO,
        cost: { amount: '108900', unit: 'token' },
      },
    },
    {
      source: 'https://docs.ai-tokenhub.com/en/api-guides/Query-video-generation-task',
      status: 200,
      body: { id: 'cgt-1', model: 'm', status: 'expired', error: null, created_at: 1779348818 },
      means: { kind: 'task', status: 'failed' },
    },
  ],
  minimax: [
    {
      source: 'https://platform.minimax.io/docs/api-reference/video-generation-v2-query',
      status: 200,
      body: {
        id: '424010985738629',
        model: 'MiniMax-H3',
        status: 'succeeded',
        content: { url: VIDEO },
        duration: 5,
      },
      means: { kind: 'task', status: 'completed', resultUrl: VIDEO },
    },
    {
      source: 'https://docs.comfy.org/development/comfy-router/models/minimax/minimax-h3/code',
      status: 200,
      body: {
        id: '424010985738629',
        status: 'failed',
        error: { code: 1027, message: 'output contains sensitive content' },
      },
      means: { kind: 'task', status: 'failed', failReason: 'output contains sensitive content' },
    },
  ],
  openrouter: [
    {
      source: 'https://openrouter.ai/docs/api/api-reference/video-generation/get-videos',
      status: 200,
      body: {
        id: 'job-abc123',
        polling_url: '/api/v1/videos/job-abc123',
        status: 'completed',
        generation_id: 'gen-xyz789',
        unsigned_urls: [VIDEO],
        usage: { cost: 0.5, is_byok: false },
      },
      means: { kind: 'task', status: 'completed', cost: { amount: '0.5', unit: 'USD' } },
    },
    {
      source: 'https://openrouter.ai/docs/api/api-reference/videos',
      status: 200,
      body: { id: 'job-abc123', polling_url: '/api/v1/videos/job-abc123', status: 'expired', error: 'late' },
      means: { kind: 'task', status: 'failed', failReason: 'late' },
    },
  ],
};

export interface DocumentedRequest {
  source: string;
  mode: 'text' | 'image' | 'start-end' | 'reference';
  /** The fields of the row. */
  row: Record<string, unknown>;
  path: string;
  body: unknown;
}

const [FIRST, LAST] = ['https://example.com/first.jpg', 'https://example.com/last.jpg'];
const frame = (role: string, url: string): unknown => ({ type: 'image_url', image_url: { url }, role });

/** What the documents show as the body of a create, and the row that must become it. */
export const REQUESTS: Record<string, readonly DocumentedRequest[]> = {
  'new-api': [
    {
      source: 'https://docs.newapi.pro/en/docs/api/ai-model/videos/createvideogeneration',
      mode: 'image',
      row: {
        model: 'kling-v1',
        prompt: 'p',
        image: FIRST,
        duration: 5,
        extra_body: { width: 512, height: 512, metadata: { negative_prompt: 'n' } },
      },
      path: '/v1/video/generations',
      body: {
        model: 'kling-v1',
        prompt: 'p',
        image: FIRST,
        duration: 5,
        width: 512,
        height: 512,
        metadata: { negative_prompt: 'n' },
      },
    },
  ],
  'openai-videos': [
    {
      source: 'https://developers.openai.com/api/reference/cli/resources/videos',
      mode: 'image',
      row: { model: 'sora-2', prompt: 'p', image: FIRST, duration: 8, extra_body: { size: '1280x720' } },
      path: '/v1/videos',
      body: {
        model: 'sora-2',
        prompt: 'p',
        seconds: '8',
        size: '1280x720',
        input_reference: { image_url: FIRST },
      },
    },
  ],
  vidu: [
    {
      source: 'https://docs.powertokens.ai/en/zmodelVideo/vidu/viduq3-turbo-text-to-video',
      mode: 'text',
      row: {
        model: 'viduq3-turbo',
        prompt: 'p',
        duration: 5,
        aspect_ratio: '16:9',
        extra_body: { resolution: '720p' },
      },
      path: '/ent/v2/text2video',
      body: { model: 'viduq3-turbo', prompt: 'p', duration: 5, aspect_ratio: '16:9', resolution: '720p' },
    },
    {
      source: 'https://doc-en.302.ai/294940083e0',
      mode: 'start-end',
      row: { model: 'viduq1', prompt: 'p', image: FIRST, last_image: LAST, duration: 5 },
      path: '/ent/v2/start-end2video',
      body: { model: 'viduq1', prompt: 'p', images: [FIRST, LAST], duration: 5 },
    },
    {
      source: 'https://platform.vidu.com/docs/reference-to-video',
      mode: 'reference',
      row: { model: 'viduq1', prompt: 'p', reference_image_urls: [FIRST, LAST] },
      path: '/ent/v2/reference2video',
      body: { model: 'viduq1', prompt: 'p', images: [FIRST, LAST] },
    },
  ],
  ark: [
    {
      source: 'https://apidoc.3hei.com/zh/docs/services/video/seedance/api/videos',
      mode: 'start-end',
      row: { model: 'doubao-seedance-2-0', prompt: 'p', image: FIRST, last_image: LAST },
      path: '/api/v3/contents/generations/tasks',
      body: {
        model: 'doubao-seedance-2-0',
        content: [{ type: 'text', text: 'p' }, frame('first_frame', FIRST), frame('last_frame', LAST)],
      },
    },
    {
      source: 'https://raw.githubusercontent.com/Wei-Shaw/sub2api/main/docs/seedance-api.md',
      mode: 'text',
      row: {
        model: 'seedance-video',
        prompt: 'p',
        duration: 5,
        aspect_ratio: '16:9',
        extra_body: { resolution: '720p', generate_audio: true },
      },
      path: '/api/v3/contents/generations/tasks',
      body: {
        model: 'seedance-video',
        content: [{ type: 'text', text: 'p' }],
        duration: 5,
        resolution: '720p',
        ratio: '16:9',
        generate_audio: true,
      },
    },
  ],
  minimax: [
    {
      source: 'https://platform.minimaxi.com/docs/api-reference/video-generation-v2-create',
      mode: 'text',
      row: {
        model: 'MiniMax-H3',
        prompt: 'p',
        duration: 5,
        aspect_ratio: '16:9',
        extra_body: { resolution: '2K' },
      },
      path: '/v2/video_generation',
      body: {
        model: 'MiniMax-H3',
        content: [{ type: 'text', text: 'p' }],
        resolution: '2K',
        duration: 5,
        ratio: '16:9',
      },
    },
  ],
  openrouter: [
    {
      source: 'https://github.com/CopilotKit/aimock/issues/261',
      mode: 'image',
      row: {
        model: 'bytedance/seedance-2.0',
        prompt: 'p',
        image: FIRST,
        duration: 8,
        aspect_ratio: '16:9',
        extra_body: { resolution: '720p', seed: 42, generate_audio: true },
      },
      path: '/api/v1/videos',
      body: {
        model: 'bytedance/seedance-2.0',
        prompt: 'p',
        duration: 8,
        resolution: '720p',
        aspect_ratio: '16:9',
        seed: 42,
        generate_audio: true,
        frame_images: [{ type: 'image_url', image_url: { url: FIRST }, frame_type: 'first_frame' }],
      },
    },
  ],
};
