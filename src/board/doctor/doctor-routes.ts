import type { FastifyInstance } from 'fastify';
import type { Check } from '../../operate/doctor/check.ts';
import { sendHtml } from '../responses.ts';
import { DOCTOR_PATH, parseText } from '../url.ts';
import { sharedCheckup } from './checkup.ts';
import { doctorPage, RUN_FIELD, type QueuePlace } from './doctor-page.ts';

/**
 * `/doctor`, which also answers while the ledger does not. It runs the checks only when a person asks. They change nothing, so
 * a read-only board has them, too. `check`: undefined: this board has no configuration to check.
 */
export function mountDoctor(
  server: FastifyInstance,
  { queue, check }: { queue: QueuePlace; check: (() => AsyncIterable<Check>) | undefined },
): void {
  const checkup = check === undefined ? undefined : sharedCheckup(check);

  server.get(DOCTOR_PATH, async (request, reply) => {
    const wanted = parseText(request.query, RUN_FIELD) !== undefined;
    const found = wanted ? await checkup?.() : undefined;
    return sendHtml(
      reply,
      doctorPage(request.view, { queue, checkup: found, canRun: checkup !== undefined }),
    );
  });

  if (checkup !== undefined)
    server.get(`/api${DOCTOR_PATH}`, async (_request, reply) => reply.send(await checkup()));
}
