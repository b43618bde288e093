/** `npm run states`: writes `docs/states.md` from the tables of `src/core/states.ts`. */
import { writeFileSync } from 'node:fs';
import { OPEN_STATES, RETRYABLE_STATES, STATES, TRANSITIONS, type State } from '../../src/core/states.ts';

export const PAGE = new URL('../../docs/states.md', import.meta.url);

const MEANING: Record<State, string> = {
  pending: 'The row waits to be sent.',
  submitting: 'A worker has claimed the row. Its request may be on the way.',
  submitted: 'The provider accepted the row. Its task id is stored.',
  uncertain: 'The provider may have accepted the row. vidbatch does not send it again by itself.',
  rejected: 'The provider refused the row because of its content.',
  exhausted: 'No attempt was accepted, and no attempt is left.',
  invalid: 'The row breaks a rule, so it is not sent.',
  cancelled: 'An operator cancelled the row, or it is gone from its manifest.',
  abandoned: 'A person gave up an uncertain row. It may have been paid.',
};

function nextActor(state: State): string {
  if (OPEN_STATES.some((open) => open === state)) return 'a worker';
  if (RETRYABLE_STATES.some((one) => one === state)) return 'a person: `retry`';
  if (state === 'invalid') return 'a person: a corrected manifest';
  return state === 'uncertain' ? 'a late answer, or a person: `resolve`' : '';
}

interface Move {
  from: State[];
  to: State;
  by: string;
}

/** Moves with the same end and the same cause are one line of the table. */
function groupedMoves(): Move[] {
  const moves: Move[] = [];
  for (const { from, to, by } of TRANSITIONS) {
    const same = moves.find((move) => move.to === to && move.by === by);
    if (same === undefined) moves.push({ from: [from], to, by });
    else same.from.push(from);
  }
  return moves;
}

export function statesPage(): string {
  const moves = groupedMoves();
  const arrows = moves.flatMap(({ from, to }, at) => from.map((one) => `  ${one} --> ${to}: ${at + 1}`));
  const states = STATES.map((state) => `| \`${state}\` | ${MEANING[state]} | ${nextActor(state)} |`);
  const table = moves.map(
    ({ from, to, by }, at) =>
      `| ${at + 1} | ${from.map((one) => `\`${one}\``).join(', ')} | \`${to}\` | ${by} |`,
  );
  return `# States of a row

<!-- Made by \`npm run states\` from src/core/states.ts. Do not edit this page by hand. -->

Every row is in exactly one of these states. The table \`TRANSITIONS\` in \`src/core/states.ts\` holds every legal move. The constraint \`row_state_move\` in the schema of the ledger holds the same pairs, so the database refuses every other move. A new row is \`pending\`, or \`invalid\` if it breaks a rule.

| state | meaning | who moves it on |
|---|---|---|
${states.join('\n')}

The provider's own status of an accepted task is another column. It never changes the state of the row.

## Moves

The numbers in the diagram are the numbers of the table.

\`\`\`mermaid
stateDiagram-v2
  [*] --> pending
  [*] --> invalid
${arrows.join('\n')}
\`\`\`

| # | from | to | because of |
|---|---|---|---|
${table.join('\n')}
`;
}

if (process.argv[1] === import.meta.filename) writeFileSync(PAGE, statesPage());
