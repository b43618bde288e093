/**
 * Group commit: calls during a running group form the next group, which shares one statement and one commit. A group that
 * fails is repeated item by item, so one bad item does not fail the others. `run` answers in the order of its items.
 * A group that is not full waits for `gather`: by default one turn of the event loop, whose calls all join.
 */
export function grouped<Item, Answer>(
  run: (items: readonly Item[]) => Promise<readonly Answer[]>,
  { max = 100, gather = nextTurn }: { max?: number; gather?: () => Promise<unknown> } = {},
): (item: Item) => Promise<Answer> {
  interface Waiting {
    item: Item;
    resolve: (answer: Answer) => void;
    reject: (error: unknown) => void;
  }
  let waiting: Waiting[] = [];
  let running = false;

  async function runOne(one: Waiting): Promise<void> {
    try {
      const [answer] = await run([one.item]);
      one.resolve(answer as Answer);
    } catch (error) {
      one.reject(error);
    }
  }

  async function runGroup(group: Waiting[]): Promise<void> {
    if (group.length === 1 && group[0] !== undefined) return runOne(group[0]);
    let answers: readonly Answer[];
    try {
      answers = await run(group.map((one) => one.item));
    } catch {
      for (const one of group) await runOne(one);
      return;
    }
    group.forEach((one, index) => one.resolve(answers[index] as Answer));
  }

  async function drain(): Promise<void> {
    running = true;
    while (waiting.length > 0) {
      if (waiting.length < max) await gather();
      const group = waiting.slice(0, max);
      waiting = waiting.slice(max);
      await runGroup(group);
    }
    running = false;
  }

  return (item) =>
    new Promise<Answer>((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      if (!running) void drain();
    });
}

function nextTurn(): Promise<unknown> {
  return new Promise(setImmediate);
}
