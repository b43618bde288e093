import { setTimeout as sleep } from 'node:timers/promises';
import { jsonLines } from '../cli.ts';
import type { ExportedRow } from '../truth.ts';
import type { RoundSetup } from './round-setup.ts';
import { judge, type Book, type Verdict } from './verdict.ts';
import { readWitness } from './witness.ts';

/** All is well again: what is left is sent, a person settles some rows, and then everything is compared. */
export async function endRound(setup: RoundSetup): Promise<Verdict> {
  const { plan, simulator, ledger, operator, manifests, witness } = setup;
  const { must, settle, misjudge, misjudged } = operator;
  await simulator.configure({ latency: { minMs: 1, maxMs: 3 } });
  await ledger.deadlinesPass('all');
  await ledger.feedersPass();
  const files: string[] = [];
  for (const { file, textAt } of manifests) files.push(await setup.cli.write(file, textAt(Infinity)));
  await unlock(setup);
  await drain(setup, files);
  // A create whose client has gone may be accepted for as long as the provider is slow.
  await sleep(plan.slowMs + 200);
  let settled = 0;
  for (const { batch } of manifests) {
    if (plan.end.misjudge > misjudged.size) await misjudge(batch, plan.end.misjudge - misjudged.size);
    if (plan.end.settle > settled) settled += await settle(batch, plan.end.settle - settled);
  }
  if (settled + misjudged.size > 0) await drain(setup, files);
  if (plan.end.verify) await verify(setup);
  const books: Book[] = [];
  for (const { batch, prompts } of manifests) {
    const { stdout } = await must([0], 'export', batch, '--format', 'jsonl');
    books.push({ batch, prompts: prompts(), exported: jsonLines<ExportedRow>(stdout) });
  }
  return judge({
    books,
    accepted: simulator.accepted(),
    witnessed: readWitness(witness),
    surplus: await ledger.taskIds(),
    misjudged,
  });
}

async function verify({ operator }: RoundSetup): Promise<void> {
  // 5 when a row was paid twice: then by the fault of that person.
  await operator.must(operator.misjudged.size > 0 ? [0, 5] : [0], 'verify');
}

/** Takes back what operators have stopped. A restored ledger may be from before a manifest. */
async function unlock({ plan, operator, manifests }: RoundSetup): Promise<void> {
  const { must } = operator;
  const commands = plan.steps.flatMap((step) => (step.do === 'operator' ? [step.command] : []));
  if (commands.length > 0) await must([0], 'resume');
  for (const { batch } of manifests) {
    if (plan.end.retry || commands.includes('cancel-and-retry')) await must([0, 2], 'retry', batch, '--yes');
    if (commands.includes('pause')) await must([0, 2], 'resume', batch);
  }
}

async function drain({ plan, services, operator }: RoundSetup, files: readonly string[]): Promise<void> {
  const limits = ['--concurrency', '16', '--timeout', '30s', '--log-level', 'warn'];
  if (plan.end.by === 'run' || plan.storage === 'postgres') {
    await operator.must([0, 4, 5], 'run', ...files, ...limits);
    return;
  }
  if (plan.storage.startsWith('redis')) await services.flush();
  await operator.must([0], 'submit', ...files);
  await operator.must([0, 5], 'work', '--drain', ...limits);
}
