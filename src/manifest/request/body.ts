import type { ExtraBody } from './extra-body.ts';

/** The body of `POST /v1/video/generations`, exactly; its fields are in the order of the contract page. */
export interface GenerationRequest {
  model: string;
  prompt: string;
  image?: string;
  last_image?: string;
  reference_image_urls?: string[];
  aspect_ratio?: string;
  /** Seconds. */
  duration?: number;
  extra_body?: ExtraBody;
}
