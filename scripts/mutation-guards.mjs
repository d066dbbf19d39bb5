// The guards in test/mutations, as `mutation-check.mjs` takes them out, and `test/unit/mutations.test.ts` checks their texts.
import { readdirSync, readFileSync } from 'node:fs';

export async function loadGuards() {
  const lists = readdirSync('test/mutations').filter(name => name.endsWith('.mjs'));
  const modules = await Promise.all(
    lists.map(async name => {
      const exported = await import(`../test/mutations/${name}`);
      return Object.values(exported)
        .flat()
        .map(guard => ({ ...guard, list: name.replace('.mjs', '') }));
    }),
  );
  return modules.flat();
}

/** Those whose text does not occur exactly once in their file. */
export function outdatedAmong(guards) {
  return guards.filter(({ file, from }) => readFileSync(file, 'utf8').split(from).length !== 2);
}
